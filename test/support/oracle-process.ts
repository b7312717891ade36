// The processes of a private Open vSwitch: ovsdb-server and ovs-vswitchd of the package, with a folder of
// their own for run files, database and log, so that a switch of the machine is not touched. Both detach,
// which is how they tell that they are ready; they are ended by their pid files, also when the test's process
// exits early.

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema";
const PROGRAMS = ["ovsdb-tool", "ovsdb-server", "ovs-vsctl", "ovs-vswitchd"] as const;
/** The package's daemons live where a plain user's PATH does not reach. */
const PATH = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;

/** Why there is no oracle here, or false when there is one. Fits tap's `skip` option. */
export function oracleSkipReason(): string | false {
  for (const program of PROGRAMS) {
    const found = spawnSync(program, ["--version"], { env: { ...process.env, PATH } });
    if (found.error !== undefined) return `Open vSwitch is not installed: no ${program}`;
  }
  return existsSync(SCHEMA) ? false : `Open vSwitch is not installed: no ${SCHEMA}`;
}

/** Version of the installed ovs-vswitchd, as `3.1.0`. Answers differ between versions. */
export function oracleVersion(): string {
  const text = execFileSync("ovs-vswitchd", ["--version"], {
    env: { ...process.env, PATH },
    encoding: "utf8",
  });
  const version = /\(Open vSwitch\) (\S+)/.exec(text)?.[1];
  if (version === undefined) throw new Error(`ovs-vswitchd --version: no version in '${text.trimEnd()}'`);
  return version;
}

export class OracleProcess {
  readonly folder: string;
  readonly controlSocket: string;
  readonly logFile: string;
  readonly #database: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #onExit = (): void => this.stop();
  #stopped = false;

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), `millrace-oracle-${process.pid}-`));
    const [run, db, log] = ["run", "db", "log"].map((name) => join(this.folder, name)) as [
      string,
      string,
      string,
    ];
    for (const folder of [run, db, log]) mkdirSync(folder);
    this.controlSocket = join(run, "vswitchd.ctl");
    this.logFile = join(log, "ovs-vswitchd.log");
    this.#database = `unix:${join(run, "db.sock")}`;
    this.#env = { ...process.env, PATH, OVS_RUNDIR: run, OVS_DBDIR: db, OVS_LOGDIR: log };
    process.on("exit", this.#onExit);
    try {
      this.#startServer(join(db, "conf.db"), join(run, "db.sock"));
      this.#startSwitch();
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  vsctl(...args: string[]): string {
    return this.#execute("ovs-vsctl", [`--db=${this.#database}`, ...args]);
  }

  /** Ends both daemons and removes the folder. May be called twice. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    process.off("exit", this.#onExit);
    for (const name of ["ovs-vswitchd", "ovsdb-server"]) this.#kill(join(this.folder, "run", `${name}.pid`));
    rmSync(this.folder, { recursive: true, force: true });
  }

  #startServer(database: string, socket: string): void {
    this.#execute("ovsdb-tool", ["create", database, SCHEMA]);
    const common = ["--detach", "--no-chdir", "--pidfile", "-vconsole:off", "-vsyslog:off"];
    this.#execute("ovsdb-server", [...common, `--remote=punix:${socket}`, database]);
    this.vsctl("--no-wait", "init");
  }

  #startSwitch(): void {
    this.#execute("ovs-vswitchd", [
      "--enable-dummy",
      "--disable-system",
      "--disable-system-route",
      "--detach",
      "--no-chdir",
      "--pidfile",
      `--log-file=${this.logFile}`,
      `--unixctl=${this.controlSocket}`,
      "-vconsole:off",
      "-vsyslog:off",
      this.#database,
    ]);
  }

  /** A daemon gets no pipe: one that it inherited would stay open for as long as it runs. */
  #execute(program: string, args: readonly string[]): string {
    const isDaemon = args.includes("--detach");
    return execFileSync(program, args, {
      env: this.#env,
      encoding: "utf8",
      stdio: isDaemon ? "ignore" : ["ignore", "pipe", "pipe"],
    });
  }

  #kill(pidFile: string): void {
    if (!existsSync(pidFile)) return;
    const pid = Number(readFileSync(pidFile, "utf8"));
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}
