// A daemon as a program, for tests of its commands: `millrace run` with a configuration and a socket of its own, ended
// and cleaned up with the test.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { callUnixctl } from "../../src/control/unixctl/client.ts";

export const CLI = resolve(import.meta.dirname, "../../src/cli/millrace.js");
const POLL_MILLIS = 50;
/** Far beyond what anything takes: a hang ends a test, slowness does not. */
const POLLS_MAX = 1200;

export interface ProgramAnswer {
  readonly out: string;
  readonly err: string;
  readonly code: number | null;
}

/** Runs a program to its end. */
export function runProgram(program: string, ...args: readonly string[]): ProgramAnswer {
  const { stdout, stderr, status, error } = spawnSync(program, args, { encoding: "utf8" });
  if (error !== undefined) throw error;
  return { out: stdout, err: stderr, code: status };
}

export class Daemon {
  readonly folder: string;
  readonly socket: string;
  /** Exit code, once it ended. */
  readonly ended: Promise<number | null>;
  readonly #process: ChildProcess;
  #output = "";

  private constructor(config: string) {
    this.folder = mkdtempSync(join(tmpdir(), `millrace-daemon-${process.pid}-`));
    this.socket = join(this.folder, "ctl");
    const file = this.file("millrace.yaml", config);
    this.#process = spawn(process.execPath, [CLI, "run", "--config", file, "--socket", this.socket], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#process.stdout!.on("data", (chunk: Buffer) => (this.#output += chunk));
    this.ended = new Promise((done) => this.#process.once("exit", done));
    process.once("exit", this.#onExit);
  }

  /** Starts one and waits until it answers. @throws Error when it ends instead */
  static async start(t: { teardown(handler: () => unknown): unknown }, config: string): Promise<Daemon> {
    const daemon = new Daemon(config);
    t.teardown(() => daemon.close());
    await daemon.until("an answer", async () => (await daemon.call("version").catch(() => "")) !== "");
    return daemon;
  }

  /** What it printed so far. */
  get output(): string {
    return this.#output;
  }

  /** Writes a file beside the daemon's own. */
  file(name: string, text: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, text);
    return path;
  }

  async call(method: string, ...params: string[]): Promise<string> {
    return (await callUnixctl(this.socket, method, params)) as string;
  }

  json<T>(method: string, ...params: string[]): Promise<T> {
    return callUnixctl(this.socket, method, params, "json") as Promise<T>;
  }

  /** Runs `millrace ARGS`; the caller names the socket. */
  millrace(...args: readonly string[]): ProgramAnswer {
    return runProgram(process.execPath, CLI, ...args);
  }

  async until(what: string, isDone: () => Promise<boolean>): Promise<void> {
    for (let poll = 0; !(await isDone()); poll += 1) {
      if (this.#process.exitCode !== null)
        throw new Error(`the daemon ended with code ${this.#process.exitCode} before ${what}`);
      if (poll === POLLS_MAX) throw new Error(`the daemon: waited in vain for ${what}`);
      await sleep(POLL_MILLIS);
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  async close(): Promise<void> {
    process.off("exit", this.#onExit);
    this.#process.kill("SIGKILL");
    await this.ended;
    rmSync(this.folder, { recursive: true, force: true });
  }

  readonly #onExit = (): void => {
    this.#process.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  };
}
