// What the comparison prints: a table of scenarios, or the same as data, with the machine's description.
import { cpus, loadavg, release, totalmem } from "node:os";
import Table from "cli-table3";
import type { ContestantKind, Measurement } from "./bench-contestants.ts";

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Measurements of one scenario: entry n of every list was taken in round n. */
export interface ScenarioResult {
  readonly name: string;
  readonly title: string;
  /** What a figure is a time of. */
  readonly unit: "packet" | "flow";
  readonly besideOwn?: string | undefined;
  readonly contestants: readonly {
    readonly name: string;
    readonly kind: ContestantKind;
    readonly samples: readonly Measurement[];
  }[];
}

type ContestantResult = ScenarioResult["contestants"][number];

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >>> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

const nanosOf = ({ samples }: ContestantResult): Spread =>
  spread(samples.map(({ nsPerPacket }) => nsPerPacket));

/** How many times the nanoseconds of `ours` theirs are, round by round. */
const ratioOf = (theirs: ContestantResult, ours: ContestantResult): Spread =>
  spread(theirs.samples.map(({ nsPerPacket }, round) => nsPerPacket / ours.samples[round]!.nsPerPacket));

/** The one of its kind with the lowest median. */
const bestOf = (
  contestants: readonly ContestantResult[],
  kind: ContestantKind,
): ContestantResult | undefined =>
  contestants.filter((one) => one.kind === kind).sort((a, b) => nanosOf(a).median - nanosOf(b).median)[0];

export interface Comparison {
  readonly against: string;
  readonly ratio: Spread;
}

/** Ratios of a scenario, each with whom it is against: above 1 they take longer than millrace. */
export function comparisons(result: ScenarioResult, all: readonly ScenarioResult[]): Comparison[] {
  const ours = bestOf(result.contestants, "millrace")!;
  const found: Comparison[] = [];
  for (const kind of ["ovs", "testpmd", "l3fwd"] as const) {
    const theirs = bestOf(result.contestants, kind);
    if (theirs !== undefined) found.push({ against: theirs.name, ratio: ratioOf(theirs, ours) });
  }
  const uncached = result.contestants.find(({ name }) => name.endsWith(" noemc"));
  if (uncached !== undefined && !found.some(({ against }) => against === uncached.name))
    found.push({ against: uncached.name, ratio: ratioOf(uncached, ours) });
  const own = all.find(({ name }) => name === result.besideOwn);
  if (own !== undefined) {
    const theirs = bestOf(own.contestants, "millrace")!;
    found.push({ against: `millrace on ${own.name}`, ratio: ratioOf(theirs, ours) });
  }
  return found;
}

const digits = (nanos: number): string => nanos.toFixed(nanos < 100 ? 1 : 0);
const spreadText = ({ median, min, max }: Spread, text: (value: number) => string): string =>
  `${text(median)} (${text(min)}..${text(max)})`;

export function formatTable(results: readonly ScenarioResult[]): string {
  const table = new Table({
    head: ["scenario", "who", "ns, median (min..max)", "times millrace's, median (min..max)"],
    style: { head: [], border: [] },
    chars: { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" },
  });
  for (const result of results) {
    const ratios = new Map(comparisons(result, results).map(({ against, ratio }) => [against, ratio]));
    const rows = result.contestants.map((one) => {
      const ratio = ratios.get(one.name);
      ratios.delete(one.name);
      return [one.name, spreadText(nanosOf(one), digits), ratio];
    });
    // What is left is another scenario of ours.
    for (const [against, ratio] of ratios) rows.push([against, "", ratio]);
    for (const [index, [who, nanos, ratio]] of rows.entries()) {
      const title = `${result.title}${result.unit === "flow" ? " (ns a flow)" : ""}`;
      table.push([
        index === 0 ? title : "",
        who as string,
        nanos as string,
        ratio === undefined ? "" : spreadText(ratio as Spread, (value) => value.toFixed(2)),
      ]);
    }
  }
  return `${table.toString()}\n`;
}

export interface Machine {
  readonly cpu: string;
  readonly cpuCount: number;
  readonly memoryGib: number;
  readonly kernel: string;
  readonly node: string;
  readonly v8: string;
  /** The CPU that forwards, and the one of everything else; absent: not pinned. */
  readonly forwardingCpu: number | undefined;
  readonly otherCpu: number | undefined;
  /** Of one minute, before the first measurement and after the last one. */
  readonly load: readonly [before: number, after: number];
  readonly versions: Readonly<Record<string, string>>;
}

export function describeMachine(
  given: Pick<Machine, "forwardingCpu" | "otherCpu" | "versions">,
  loadBefore: number,
): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cpuCount: cpus().length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.versions.node,
    v8: process.versions.v8,
    ...given,
    load: [loadBefore, loadavg()[0]!],
  };
}

export function formatMachine(machine: Machine): string {
  const { cpu, cpuCount, memoryGib, kernel, node, forwardingCpu, otherCpu, load, versions } = machine;
  const pinned =
    forwardingCpu === undefined
      ? "not pinned"
      : `CPU ${forwardingCpu} forwards, CPU ${otherCpu} has the rest`;
  const lines = [
    `${cpuCount} CPUs ${cpu}, ${memoryGib} GiB, Linux ${kernel}, Node ${node}; ${pinned}; load ${load.map((value) => value.toFixed(1)).join(" before, ")} after`,
    ...Object.entries(versions).map(([name, version]) => `${name}: ${version}`),
  ];
  return `${lines.join("\n")}\n`;
}

/** Everything, for programs. */
export function toJson(
  results: readonly ScenarioResult[],
  machine: Machine,
  missing: readonly string[],
): string {
  const scenarios = results.map((result) => ({
    ...result,
    contestants: result.contestants.map((one) => ({ ...one, nanos: nanosOf(one) })),
    comparisons: comparisons(result, results),
  }));
  return JSON.stringify({ machine, missing, scenarios }, null, 2);
}
