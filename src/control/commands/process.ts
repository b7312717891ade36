// version, list-commands, exit, coverage/show: the daemon itself.
import { COUNTERS, type CounterName, readTotals } from "../../datapath/counters.ts";
import { DROP_REASONS } from "../../datapath/drop-reason.ts";
import type { Arena } from "../../memory/arena.ts";
import { type Command, CommandError, type CommandRegistry } from "../command.ts";
import { VERSION } from "../version.ts";
import { answer } from "./answer.ts";

export function processCommands(registry: CommandRegistry, exit: () => void): Command[] {
  return [
    {
      name: "version",
      usage: "",
      summary: "name and version of the daemon",
      argumentCountMin: 0,
      argumentCountMax: 0,
      run: () => answer([`millrace ${VERSION}`], { name: "millrace", version: VERSION }),
    },
    {
      name: "list-commands",
      usage: "",
      summary: "commands with their arguments",
      argumentCountMin: 0,
      argumentCountMax: 0,
      run: () => {
        const commands = registry.list();
        const lines = commands.map(({ name, usage }) => `  ${name.padEnd(23)} ${usage}`);
        return answer(
          ["The available commands are:", ...lines],
          commands.map(({ name, usage, summary }) => ({ name, usage, summary })),
        );
      },
    },
    {
      name: "exit",
      usage: "[--cleanup]",
      summary: "stop: drain, close ports, leave",
      argumentCountMin: 0,
      argumentCountMax: 1,
      run: ([option]) => {
        if (option !== undefined && option !== "--cleanup")
          throw new CommandError(`exit takes --cleanup or nothing, not "${option}"`);
        exit();
        return answer("", {});
      },
    },
  ];
}

/** Average rates of one event, kept by a call each second. */
class EventRates {
  /** Totals at the last 3,601 seconds, newest last: an hour's difference needs both ends. */
  #totals: number[] = [];

  tick(total: number): void {
    this.#totals.push(total);
    if (this.#totals.length > 3601) this.#totals.shift();
  }

  perSecond(seconds: number): number {
    const last = this.#totals.length - 1;
    if (last < 0) return 0;
    return (this.#totals[last]! - (this.#totals[last - seconds] ?? 0)) / seconds;
  }
}

/** coverage/show over the switch's counters: every drop reason by OVS's naming, and what happened how often. */
export class Coverage {
  readonly #arena: Arena;
  readonly #rates = new Map<string, EventRates>();

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** Called once a second. */
  tick(): void {
    for (const [name, total] of this.#events()) {
      let rates = this.#rates.get(name);
      if (rates === undefined) {
        rates = new EventRates();
        this.#rates.set(name, rates);
      }
      rates.tick(total);
    }
  }

  command(): Command {
    return {
      name: "coverage/show",
      usage: "",
      summary: "events with rates over five seconds, a minute, an hour",
      argumentCountMin: 0,
      argumentCountMax: 0,
      run: () => {
        const events = this.#events();
        const hit = events.filter(([, total]) => total > 0);
        const rows = hit.map(([name, total]) => ({ name, total, ...this.#averages(name) }));
        const lines = rows.map(
          ({ name, second, minute, hour, total }) =>
            `${name.padEnd(24)} ${second.toFixed(1).padStart(5)}/sec ${minute.toFixed(3).padStart(9)}/sec ${hour.toFixed(4).padStart(13)}/sec   total: ${total}`,
        );
        return answer(
          [
            `Event coverage, avg rate over last: 5 seconds, last minute, last hour,  hash=${hashOf(events.map(([name]) => name))}:`,
            ...lines,
            `${events.length - hit.length} events never hit`,
          ],
          rows,
        );
      },
    };
  }

  #averages(name: string): { second: number; minute: number; hour: number } {
    const rates = this.#rates.get(name);
    const over = (seconds: number): number => rates?.perSecond(seconds) ?? 0;
    return { second: over(5), minute: over(60), hour: over(3600) };
  }

  #events(): (readonly [name: string, total: number])[] {
    const { counters, drops } = readTotals(this.#arena);
    return [
      ...COUNTERS.filter(({ name }) => !name.startsWith("nanos_")).map(
        ({ name }) => [name, counters[name as CounterName]] as const,
      ),
      ...DROP_REASONS.map(({ name }) => [`datapath_drop_${name}`, drops[name]] as const),
    ];
  }
}

/** Eight hex digits that change when the list of events does (FNV-1a). */
function hashOf(names: readonly string[]): string {
  let hash = 0x811c9dc5;
  for (const character of names.join(",")) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, "0");
}
