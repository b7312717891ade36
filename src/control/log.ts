// The log: pino on standard error, one module for each room, levels by OVS's names so that vlog/set works on them.
// Workers never log; they count, and the supervisor tells.
import { type DestinationStream, type Logger, pino } from "pino";

/** OVS's level names, most silent first, and pino's for them. */
export const VLOG_LEVELS = {
  off: "silent",
  emer: "fatal",
  err: "error",
  warn: "warn",
  info: "info",
  dbg: "debug",
} as const;
export type VlogLevel = keyof typeof VLOG_LEVELS;

export const LOG_MODULES = [
  "bridge",
  "compile",
  "config",
  "control",
  "handler",
  "netlink",
  "pmd",
  "port",
  "unixctl",
] as const;
export type LogModule = (typeof LOG_MODULES)[number];

/** OVS's destinations. Lines go to the console, which is standard error; nothing is written to the others. */
export const LOG_DESTINATIONS = ["console", "syslog", "file"] as const;
export type LogDestination = (typeof LOG_DESTINATIONS)[number];

export class Log {
  readonly #modules: ReadonlyMap<LogModule, Logger>;
  readonly #levels = new Map<LogModule, Record<LogDestination, VlogLevel>>();

  constructor(level: VlogLevel, destination: DestinationStream = pino.destination({ dest: 2, sync: true })) {
    const root = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime, level: "debug" }, destination);
    this.#modules = new Map(
      LOG_MODULES.map((module) => [module, root.child({ module }, { level: VLOG_LEVELS[level] })]),
    );
    for (const module of LOG_MODULES)
      this.#levels.set(module, { console: level, syslog: "off", file: "off" });
  }

  module(module: LogModule): Logger {
    return this.#modules.get(module)!;
  }

  level(module: LogModule, destination: LogDestination): VlogLevel {
    return this.#levels.get(module)![destination];
  }

  setLevel(module: LogModule, level: VlogLevel, destination: LogDestination): void {
    this.#levels.get(module)![destination] = level;
    if (destination === "console") this.#modules.get(module)!.level = VLOG_LEVELS[level];
  }

  /** The log function that ports take. */
  portLog(): (level: "debug" | "info" | "warn" | "error", message: string) => void {
    const logger = this.module("port");
    return (level, message) => logger[level](message);
  }
}
