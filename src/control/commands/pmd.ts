// dpif-netdev/pmd-stats-show, pmd-perf-show, pmd-rxq-show, pmd-stats-clear: labels and columns as OVS 3.1 prints them, since
// exporters read the text. Where OVS counts TSC cycles we count nanoseconds: a cycle of these texts is one nanosecond.
// There is one cache-less megaflow look-up, so the cache rows (PHWOL, MFEX, simple match, EMC, SMC) stay 0.
import { type CounterName, readThreadTotals, readTotals } from "../../datapath/counters.ts";
import type { Arena } from "../../memory/arena.ts";
import { handlerThread } from "../../memory/region-plan.ts";
import type { Command } from "../command.ts";
import type { SwitchView, WorkerView } from "../switch-view.ts";
import { answer } from "./answer.ts";
import { type PmdUsage, USAGE_SAMPLE_SECONDS, USAGE_SECONDS_MAX } from "./pmd-usage.ts";

type Counters = Readonly<Record<CounterName, number>>;

/** A NUMA node is not told apart: the arena is one memory. */
const NUMA_ID = 0;

export function pmdCommands(view: SwitchView, usage: PmdUsage): Command[] {
  const baselines = new Baselines(view);
  return [
    statsShow(view, baselines),
    statsClear(view, baselines),
    perfShow(view, baselines),
    rxqShow(view, usage),
  ];
}

/** The thread that OVS calls main: here the handler, which looks up what workers sent it. */
const mainThread = (view: SwitchView): number => handlerThread(view.arena.plan.sizes);

function statsShow(view: SwitchView, baselines: Baselines): Command {
  return {
    name: "dpif-netdev/pmd-stats-show",
    usage: "[-pmd core] [dp]",
    summary: "packets, hits and misses of each worker",
    argumentCountMin: 0,
    argumentCountMax: 3,
    run: (args) => {
      const { workers, isChosen } = readArguments(view, args);
      const blocks = workers.map((worker) => ({ title: pmdTitle(worker), index: worker.index, isPmd: true }));
      if (!isChosen) blocks.push({ title: "main thread:", index: mainThread(view), isPmd: false });
      return answer(
        blocks.flatMap(({ title, index, isPmd }) => [title, ...statsLines(baselines.read(index), isPmd)]),
        blocks.map(({ title, index }) => ({ thread: title.slice(0, -1), ...baselines.read(index) })),
      );
    },
  };
}

function statsClear(view: SwitchView, baselines: Baselines): Command {
  return {
    name: "dpif-netdev/pmd-stats-clear",
    usage: "[-pmd core] [dp]",
    summary: "counts from zero again, for these commands only",
    argumentCountMin: 0,
    argumentCountMax: 3,
    run: (args) => {
      const { workers, isChosen } = readArguments(view, args);
      for (const worker of workers) baselines.clear(worker.index);
      if (!isChosen) baselines.clear(mainThread(view));
      return answer("", []);
    },
  };
}

function perfShow(view: SwitchView, baselines: Baselines): Command {
  return {
    name: "dpif-netdev/pmd-perf-show",
    usage: "[-nh] [-it iter-history-len] [-ms ms-history-len] [-pmd core] [dp]",
    summary: "time, iterations, hits and batches of each worker",
    argumentCountMin: 0,
    argumentCountMax: 8,
    run: (args) => {
      const { workers } = readArguments(view, args);
      const upcallMicros = meanUpcallMicros(view.arena);
      return answer(
        workers.flatMap((worker) => perfLines(worker, baselines, upcallMicros)),
        workers.map((worker) => ({ ...worker, ...baselines.read(worker.index) })),
      );
    },
  };
}

function rxqShow(view: SwitchView, usage: PmdUsage): Command {
  return {
    name: "dpif-netdev/pmd-rxq-show",
    usage: "[-pmd core] [-secs secs] [dp]",
    summary: "which worker polls which receive queue, and what share of its time that takes",
    argumentCountMin: 0,
    argumentCountMax: 5,
    run: (args) => {
      const { workers, usageSeconds } = readArguments(view, args);
      const rows = workers.map((worker) => ({
        ...worker,
        rxqs: view.ports
          .rxqs()
          .filter((rxq) => rxq.worker === worker.index)
          .map((rxq) => ({
            port: rxq.port.spec.name,
            queue: rxq.queue,
            usagePercent: usage.ofRxq(rxq, usageSeconds) ?? null,
          })),
        overheadPercent: usage.overhead(worker.index, usageSeconds) ?? null,
      }));
      return answer(
        [
          ...(rows.length === 0 ? [] : [`Displaying last ${usageSeconds} seconds pmd usage %`]),
          ...rows.flatMap(({ rxqs, overheadPercent, ...worker }) => [
            pmdTitle(worker),
            "  isolated : false",
            ...rxqs.map(
              ({ port, queue, usagePercent }) =>
                `  port: ${port.padEnd(16)}  queue-id: ${String(queue).padStart(2)} (enabled)   pmd usage: ${shownUsage(usagePercent)}`,
            ),
            `  overhead: ${shownUsage(overheadPercent)}`,
          ]),
        ],
        rows,
      );
    },
  };
}

const shownUsage = (percent: number | null): string =>
  percent === null ? "NOT AVAIL" : `${String(Math.floor(percent)).padStart(2)} %`;

interface PmdArguments {
  readonly workers: readonly WorkerView[];
  /** True when `-pmd` chose: the main thread is not shown then. */
  readonly isChosen: boolean;
  readonly usageSeconds: number;
}

/**
 * Reads `-pmd CORE` and `-secs SECONDS` out of the arguments. As OVS does with a single datapath, it takes anything else
 * for that datapath's name and asks no further.
 */
function readArguments(view: SwitchView, args: readonly string[]): PmdArguments {
  let workers = view.workers();
  let isChosen = false;
  let usageSeconds = USAGE_SECONDS_MAX;
  for (let index = 0; index + 1 < args.length; index += 1) {
    if (args[index] === "-pmd") {
      const core = Number(args[++index]);
      workers = workers.filter((worker) => coreOf(worker) === core);
      isChosen = true;
    } else if (args[index] === "-secs") {
      const seconds = Number(args[++index]);
      if (seconds > 0 && seconds < USAGE_SECONDS_MAX)
        usageSeconds = Math.ceil(seconds / USAGE_SAMPLE_SECONDS) * USAGE_SAMPLE_SECONDS;
    }
  }
  return { workers, isChosen, usageSeconds };
}

/** A worker that is not pinned goes by its number. */
const coreOf = ({ cpu, index }: WorkerView): number => cpu ?? index;

const pmdTitle = (worker: WorkerView): string => `pmd thread numa_id ${NUMA_ID} core_id ${coreOf(worker)}:`;

/** Counters since start or since the last pmd-stats-clear. The shared counters themselves are never reset. */
class Baselines {
  readonly #view: SwitchView;
  readonly #cleared = new Map<number, { counters: Counters; atMillis: number }>();

  constructor(view: SwitchView) {
    this.#view = view;
  }

  clear(thread: number): void {
    this.#cleared.set(thread, {
      counters: readThreadTotals(this.#view.arena, thread).counters,
      atMillis: performance.now(),
    });
  }

  read(thread: number): Counters {
    const now = readThreadTotals(this.#view.arena, thread).counters;
    const before = this.#cleared.get(thread)?.counters;
    if (before === undefined) return now;
    return Object.fromEntries(
      Object.entries(now).map(([name, value]) => [name, value - before[name as CounterName]]),
    ) as Counters;
  }

  seconds(thread: number): number {
    return (performance.now() - (this.#cleared.get(thread)?.atMillis ?? this.#view.startedMillis)) / 1e3;
  }
}

/** What the handler took for an upcall, on average since the start; workers do not wait for it. */
function meanUpcallMicros(arena: Arena): number {
  const { upcall_miss, upcall_action, upcall_follow } = readTotals(arena).counters;
  const { nanos_busy } = readThreadTotals(arena, handlerThread(arena.plan.sizes)).counters;
  return ratio(nanos_busy / 1e3, upcall_miss + upcall_action + upcall_follow);
}

const ratio = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);

function statsLines(counters: Counters, isPmd: boolean): string[] {
  const { received, recirculated, lookup_hit: hits, masks_probed: probes } = counters;
  const packets = received + counters.reinjected;
  const lines = [
    `packets received: ${received}`,
    `packet recirculations: ${recirculated}`,
    `avg. datapath passes per packet: ${ratio(packets + recirculated, packets).toFixed(2)}`,
    "phwol hits: 0",
    "mfex opt hits: 0",
    "simple match hits: 0",
    "emc hits: 0",
    "smc hits: 0",
    `megaflow hits: ${hits}`,
    `avg. subtable lookups per megaflow hit: ${ratio(probes, hits).toFixed(2)}`,
    `miss with success upcall: ${counters.upcall_miss}`,
    `miss with failed upcall: ${counters.upcall_lost}`,
    `avg. packets per output batch: ${ratio(counters.transmitted, counters.tx_batches).toFixed(2)}`,
  ];
  const { nanos_busy: busy, nanos_idle: idle } = counters;
  const total = busy + idle;
  if (isPmd && total > 0) {
    lines.push(`idle cycles: ${idle} (${(ratio(idle, total) * 100).toFixed(2)}%)`);
    lines.push(`processing cycles: ${busy} (${(ratio(busy, total) * 100).toFixed(2)}%)`);
    if (packets > 0) {
      lines.push(`avg cycles per packet: ${(total / packets).toFixed(2)} (${total}/${packets})`);
      lines.push(`avg processing cycles per packet: ${(busy / packets).toFixed(2)} (${busy}/${packets})`);
    }
  }
  return lines.map((line) => `  ${line}`);
}

const column = (value: number): string => String(value).padStart(12);
const percent = (part: number, whole: number): string => (ratio(part, whole) * 100).toFixed(1).padStart(5);

function perfLines(worker: WorkerView, baselines: Baselines, upcallMicros: number): string[] {
  const counters = baselines.read(worker.index);
  const seconds = baselines.seconds(worker.index);
  const {
    nanos_busy: busy,
    nanos_idle: idle,
    iterations_busy: busyLoops,
    iterations_idle: idleLoops,
  } = counters;
  const loops = busyLoops + idleLoops;
  const used = busy + idle;
  return [
    "",
    `Time: ${new Date().toISOString().slice(11, 23)}`,
    `Measurement duration: ${seconds.toFixed(3)} s`,
    "",
    pmdTitle(worker),
    "",
    `  Iterations:         ${column(loops)}  (${ratio(used / 1e3, loops).toFixed(2)} us/it)`,
    `  - Used TSC cycles:  ${column(used)}  (${percent(used, seconds * 1e9)} % of total cycles)`,
    `  - idle iterations:  ${column(idleLoops)}  (${percent(idle, used)} % of used cycles)`,
    `  - busy iterations:  ${column(busyLoops)}  (${percent(busy, used)} % of used cycles)`,
    `  - sleep iterations: ${column(counters.sleeps)}  (${percent(counters.sleeps, loops)} % of iterations)`,
    `  Sleep time (us):    ${column(Math.round(counters.nanos_asleep / 1e3))}  (${ratio(
      counters.nanos_asleep / 1e3,
      loops,
    )
      .toFixed(0)
      .padStart(3)} us/iteration avg.)`,
    ...rxLines(counters, seconds, upcallMicros),
    ...txLines(counters, seconds),
  ];
}

function rxLines(counters: Counters, seconds: number, upcallMicros: number): string[] {
  const packets = counters.received + counters.reinjected;
  if (packets === 0) return [`  Rx packets:         ${column(0)}`];
  const passes = packets + counters.recirculated;
  const row = (label: string, value: number, more = ""): string =>
    `  - ${label.padEnd(18)}${column(value)}  (${percent(value, passes)} %${more})`;
  const lookups = ratio(counters.masks_probed, counters.lookup_hit).toFixed(2);
  return [
    `  Rx packets:         ${column(packets)}  (${(packets / seconds / 1e3).toFixed(0)} Kpps, ${(counters.nanos_busy / packets).toFixed(0)} cycles/pkt)`,
    `  Datapath passes:    ${column(passes)}  (${(passes / packets).toFixed(2)} passes/pkt)`,
    row("PHWOL hits:", 0),
    row("MFEX Opt hits:", 0),
    row("Simple Match hits:", 0),
    row("EMC hits:", 0),
    row("SMC hits:", 0),
    row("Megaflow hits:", counters.lookup_hit, `, ${lookups} subtbl lookups/hit`),
    row("Upcalls:", counters.upcall_miss, `, ${upcallMicros.toFixed(1)} us/upcall`),
    row("Lost upcalls:", counters.upcall_lost),
  ];
}

function txLines({ transmitted, tx_batches: batches }: Counters, seconds: number): string[] {
  if (transmitted === 0) return [`  Tx packets:         ${column(0)}`, ""];
  return [
    `  Tx packets:         ${column(transmitted)}  (${(transmitted / seconds / 1e3).toFixed(0)} Kpps)`,
    `  Tx batches:         ${column(batches)}  (${ratio(transmitted, batches).toFixed(2)} pkts/batch)`,
  ];
}
