// The daemon around a switch: control socket, commands, signals, privileges.
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { compileOptimized } from "../compile/v8-flags.ts";
import { formatPlan } from "../memory/region-plan.ts";
import { CAPABILITY, native, nativeUnavailable } from "../native.ts";
import { CommandRegistry } from "./command.ts";
import { bondCommands } from "./commands/bond.ts";
import { datapathCommands } from "./commands/dpctl-datapath.ts";
import { flowCommands } from "./commands/dpctl-flows.ts";
import { normalizeActions } from "./commands/dpctl-normalize.ts";
import { settingsCommands } from "./commands/dpctl-settings.ts";
import { dummyCommands } from "./commands/dummy.ts";
import { dummyAddressCommands } from "./commands/dummy-addresses.ts";
import { fdbCommands } from "./commands/fdb.ts";
import { lintCommand } from "./commands/flows-lint.ts";
import { jobsCommand } from "./commands/jobs.ts";
import { meterCommands } from "./commands/meter.ts";
import { pmdCommands } from "./commands/pmd.ts";
import { PmdUsage, USAGE_SAMPLE_SECONDS } from "./commands/pmd-usage.ts";
import { Coverage, processCommands } from "./commands/process.ts";
import { showCommands } from "./commands/show.ts";
import { tunnelCommands } from "./commands/tunnels.ts";
import { vlogCommands } from "./commands/vlog.ts";
import type { Config } from "./config/schema.ts";
import { placeControlThreads } from "./control-cpus.ts";
import { Jobs } from "./jobs.ts";
import { Log } from "./log.ts";
import { netlinkContext } from "./netlink/context.ts";
import { NetlinkServer } from "./netlink/server.ts";
import { RateLimit } from "./rate-limit.ts";
import { Switch } from "./switch.ts";
import { defaultSocketPath, netlinkSocketPath } from "./unixctl/path.ts";
import { serveUnixctl } from "./unixctl/server.ts";

/** What bringing ports back needs: links and XDP, raw sockets, BPF objects, locked UMEM. */
const KEPT_CAPABILITIES = [CAPABILITY.NET_ADMIN, CAPABILITY.NET_RAW, CAPABILITY.BPF, CAPABILITY.IPC_LOCK];
const COVERAGE_MILLIS = 1000;

export interface DaemonOptions {
  readonly config: Config;
  readonly socket?: string | undefined;
}

/** Runs until SIGTERM, SIGINT or the exit command. @throws Error when it cannot start */
export async function runDaemon({ config, socket }: DaemonOptions): Promise<void> {
  const log = new Log(config.log);
  const path = socket ?? config.socket ?? defaultSocketPath();
  placeControlThreads(config);
  compileOptimized();
  const stopped = new StopRequest();
  const running = await Switch.start(config, log);
  try {
    process.stdout.write(`${formatPlan(running.arena.plan)}\n`);
    const coverage = new Coverage(running.arena);
    const usage = new PmdUsage(running);
    const timers = [
      setInterval(() => coverage.tick(), COVERAGE_MILLIS),
      setInterval(() => usage.tick(), USAGE_SAMPLE_SECONDS * 1000),
    ];
    const registry = createRegistry(running, log, coverage, usage, () => stopped.request());
    mkdirSync(dirname(path), { recursive: true });
    const server = await serveUnixctl(path, registry, (error) => log.module("unixctl").warn(error.message));
    const netlink = await listenToPrograms(running, config["netlink-socket"] ?? netlinkSocketPath(path), log);
    dropPrivileges(log);
    log.module("control").info(`ready; control socket ${path}`);
    running.handler.once("failed", () => stopped.fail());
    await stopped.requested;
    for (const timer of timers) clearInterval(timer);
    await netlink?.close();
    await server.close();
  } finally {
    await running.stop();
  }
  if (stopped.isFailure) throw new Error("the handler thread ended; see the log");
}

/** The netlink socket; undefined when the configuration wants none. */
async function listenToPrograms(running: Switch, path: string, log: Log): Promise<NetlinkServer | undefined> {
  if (path === "") return undefined;
  mkdirSync(dirname(path), { recursive: true });
  const logger = log.module("netlink");
  const limited = new RateLimit((message) => logger.warn(message));
  const server = await NetlinkServer.listen(path, netlinkContext(running), (message) => limited.say(message));
  logger.info(`netlink socket ${path}`);
  return server;
}

class StopRequest {
  readonly requested: Promise<void>;
  isFailure = false;
  #resolve: () => void = () => undefined;

  constructor() {
    this.requested = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    process.once("SIGTERM", () => this.request());
    process.once("SIGINT", () => this.request());
  }

  request(): void {
    this.#resolve();
  }

  fail(): void {
    this.isFailure = true;
    this.#resolve();
  }
}

function createRegistry(
  running: Switch,
  log: Log,
  coverage: Coverage,
  usage: PmdUsage,
  exit: () => void,
): CommandRegistry {
  const registry = new CommandRegistry();
  const { flows, clock, handler, config } = running;
  const jobs = new Jobs();
  registry.register(
    ...processCommands(registry, exit),
    ...vlogCommands(log),
    coverage.command(),
    ...datapathCommands(running, () => flows.flowCount),
    ...flowCommands(running, flows, () => running.portLookup, clock, config["vlan-limit"], jobs),
    jobsCommand(jobs),
    normalizeActions(config["vlan-limit"]),
    ...settingsCommands(running, () => running.portLookup, registry),
    lintCommand(flows, () => running.portLookup, clock, config["vlan-limit"]),
    ...pmdCommands(running, usage),
    ...fdbCommands(running, handler.fdb, clock, config.policy["mac-table-size"]),
    ...bondCommands(running, handler.bonds),
    ...dummyCommands(running),
    ...meterCommands(running.meters),
    ...dummyAddressCommands(running, running.tunnels),
    ...tunnelCommands(running.tunnels, clock),
    ...showCommands(
      running,
      flows,
      () => running.portLookup,
      clock,
      config["vlan-limit"],
      () => running.frames(),
    ),
  );
  return registry;
}

/** As root: keeps what ports need and no more, in every thread. */
function dropPrivileges(log: Log): void {
  if (process.getuid?.() !== 0 || nativeUnavailable() !== undefined) return;
  const threads = native().privilegeDrop(KEPT_CAPABILITIES);
  log
    .module("control")
    .info(`privileges dropped in ${threads} threads; NET_ADMIN, NET_RAW, BPF and IPC_LOCK are kept`);
}
