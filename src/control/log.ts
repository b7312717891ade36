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

export const LOG_MODULES = ["bridge", "config", "control", "handler", "pmd", "port", "unixctl"] as const;
export type LogModule = (typeof LOG_MODULES)[number];

export class Log {
  readonly #modules: ReadonlyMap<LogModule, Logger>;
  readonly #levels = new Map<LogModule, VlogLevel>();

  constructor(level: VlogLevel, destination: DestinationStream = pino.destination({ dest: 2, sync: true })) {
    const root = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime, level: "debug" }, destination);
    this.#modules = new Map(
      LOG_MODULES.map((module) => [module, root.child({ module }, { level: VLOG_LEVELS[level] })]),
    );
    for (const module of LOG_MODULES) this.#levels.set(module, level);
  }

  module(module: LogModule): Logger {
    return this.#modules.get(module)!;
  }

  level(module: LogModule): VlogLevel {
    return this.#levels.get(module)!;
  }

  setLevel(module: LogModule, level: VlogLevel): void {
    this.#levels.set(module, level);
    this.#modules.get(module)!.level = VLOG_LEVELS[level];
  }

  /** The log function that ports take. */
  portLog(): (level: "debug" | "info" | "warn" | "error", message: string) => void {
    const logger = this.module("port");
    return (level, message) => logger[level](message);
  }
}
