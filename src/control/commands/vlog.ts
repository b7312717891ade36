// vlog/list and vlog/set: log levels by module and destination. Standard error is the one destination that is written
// to; levels of syslog and file are kept and listed, as ovs-vswitchd does while neither is open.
import { type Command, CommandError, type CommandResult, UNLIMITED } from "../command.ts";
import {
  LOG_DESTINATIONS,
  LOG_MODULES,
  type Log,
  type LogDestination,
  type LogModule,
  VLOG_LEVELS,
  type VlogLevel,
} from "../log.ts";
import { answer } from "./answer.ts";

export function vlogCommands(log: Log): Command[] {
  return [
    {
      name: "vlog/list",
      usage: "",
      summary: "log levels by module",
      argumentCountMin: 0,
      argumentCountMax: 0,
      run: () => listLevels(log),
    },
    {
      name: "vlog/set",
      usage: "spec...",
      summary: "set log levels: [module][:destination][:level], in any order",
      argumentCountMin: 0,
      argumentCountMax: UNLIMITED,
      run: (args) => {
        // All are read before the first is applied.
        const changes = args.map(parseSpec);
        for (const { modules, destinations, level } of changes)
          for (const module of modules)
            for (const destination of destinations) log.setLevel(module, level, destination);
        return answer("", changes);
      },
    },
  ];
}

function listLevels(log: Log): CommandResult {
  const rows = LOG_MODULES.map((module) => ({
    module,
    console: log.level(module, "console"),
    syslog: log.level(module, "syslog"),
    file: log.level(module, "file"),
  }));
  const shown = (level: VlogLevel): string => level.toUpperCase().padStart(4);
  return answer(
    [
      "                 console    syslog    file",
      "                 -------    ------    ------",
      ...rows.map(
        ({ module, console, syslog, file }) =>
          `${module.padEnd(16)}  ${shown(console)}       ${shown(syslog)}       ${shown(file)}`,
      ),
    ],
    rows,
  );
}

interface LevelChange {
  readonly modules: readonly LogModule[];
  readonly destinations: readonly LogDestination[];
  readonly level: VlogLevel;
}

/**
 * A spec names module, destination and level, each at most once, apart by colons, commas or blanks; what is missing, and
 * `any`, means all modules, all destinations, dbg.
 */
function parseSpec(spec: string): LevelChange {
  const found: { module?: LogModule; destination?: LogDestination; level?: VlogLevel } = {};
  for (const word of spec.split(/[\s,:]+/).filter((text) => text !== "")) {
    const lower = word.toLowerCase();
    if (lower === "pattern" || lower === "facility") {
      throw new CommandError(`${word}: log lines are JSON on standard error; there is no ${lower} to set`);
    }
    if (lower === "any") continue;
    const kind = kindOf(lower);
    if (kind === undefined) throw new CommandError(`no destination, level, or module "${word}"`);
    if (found[kind] !== undefined) throw new CommandError(`cannot specify multiple ${kind}s`);
    Object.assign(found, { [kind]: lower });
  }
  const { module, destination, level } = found;
  return {
    modules: module === undefined ? LOG_MODULES : [module],
    destinations: destination === undefined ? LOG_DESTINATIONS : [destination],
    level: level ?? "dbg",
  };
}

function kindOf(word: string): "level" | "destination" | "module" | undefined {
  if (Object.hasOwn(VLOG_LEVELS, word)) return "level";
  if ((LOG_DESTINATIONS as readonly string[]).includes(word)) return "destination";
  return (LOG_MODULES as readonly string[]).includes(word) ? "module" : undefined;
}
