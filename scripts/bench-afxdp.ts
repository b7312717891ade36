// AF_XDP from veth pair to veth pair: how many 64-byte frames a second come out of millrace, and out of dpdk-testpmd (io
// over net_af_xdp) in the same place in the same run, taking turns.
//
//   node build/scripts/bench-afxdp.js [--rounds 5] [--seconds 3] [--warmup 1] [--tuned] [--json] [--smoke]
//
//   source, CPU 0 -- veth -- switch, forwarding on CPU 1 -- veth -- sink
//
// --tuned gives testpmd bursts of 64 instead of 32 and no busy polling, which suits it better here than its defaults do.
//
// The source sends more than any switch takes: the figure is what the switch's one forwarding thread delivers, and the
// loss is what the source offered beyond that. Linux as root with two CPUs; elsewhere it says why it measures nothing.
// Each switch is started afresh for each round. Everything is removed at the end, on Ctrl-C too.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Lab, labUnavailable, type VethEnd } from "../test/support/netns.ts";
import { Millrace, type SwitchSite, Testpmd } from "./bench-afxdp-switches.ts";
import { XdpSink, XdpSource } from "./xdp-source.ts";

const SOURCE_CPU = 0;
const FORWARDING_CPU = 1;
const ARRIVAL_SECONDS_MAX = 30;

interface Timing {
  readonly seconds: number;
  readonly warmupSeconds: number;
}

interface Sample {
  readonly mpps: number;
  readonly offeredMpps: number;
  readonly lossPercent: number;
  /** Of millrace alone. */
  readonly systemCallsPerPacket?: number;
  readonly packetsPerBurst?: number;
}

interface Bench {
  readonly site: SwitchSite;
  readonly ingress: VethEnd;
  readonly sink: XdpSink;
  readonly timing: Timing;
  /** testpmd gets bursts of 64 and no busy polling. */
  readonly tuned: boolean;
}

interface Contestant {
  readonly name: string;
  readonly measure: (bench: Bench) => Promise<Sample>;
  readonly samples: Sample[];
}

/** What the sink counts between two moments, and what the source offered meanwhile. */
async function rate(source: XdpSource, { sink, timing }: Bench): Promise<Sample> {
  const offeredBefore = source.offered();
  const [countBefore, start] = [sink.count(), performance.now()];
  await sleep(timing.seconds * 1000);
  await arrival(sink, countBefore);
  const [count, elapsedMicros] = [sink.count() - countBefore, (performance.now() - start) * 1000];
  const offered = source.offered() - offeredBefore;
  const lossPercent = Math.max(0, 100 * (1 - count / offered));
  return { mpps: count / elapsedMicros, offeredMpps: offered / elapsedMicros, lossPercent };
}

/** Waits until the sink has counted more than `count`: threads are slow to start on a busy machine. */
async function arrival(sink: XdpSink, count: number): Promise<void> {
  const until = performance.now() + ARRIVAL_SECONDS_MAX * 1000;
  while (sink.count() === count) {
    if (performance.now() > until) throw new Error(`no frame arrived for ${ARRIVAL_SECONDS_MAX} seconds`);
    await sleep(1);
  }
}

/** Measures with the source on; the source is off while switches start and end, since they use its CPU. */
async function underLoad<T>(bench: Bench, measure: (source: XdpSource) => Promise<T>): Promise<T> {
  const source = new XdpSource(bench.site.lab, bench.ingress, SOURCE_CPU);
  try {
    await arrival(bench.sink, bench.sink.count());
    await sleep(bench.timing.warmupSeconds * 1000);
    return await measure(source);
  } finally {
    await source.stop();
  }
}

async function measureTestpmd(bench: Bench): Promise<Sample> {
  const testpmd = await Testpmd.start(bench.site, bench.tuned);
  const sample = await underLoad(bench, (source) => rate(source, bench));
  await testpmd.stop();
  return sample;
}

async function measureMillrace(bench: Bench): Promise<Sample> {
  const millrace = await Millrace.start(bench.site);
  const sample = await underLoad(bench, async (source) => {
    const before = await millrace.counters();
    const rates = await rate(source, bench);
    const after = await millrace.counters();
    if (after.lookup_miss !== before.lookup_miss) throw new Error("packets missed the flow");
    const packets = after.transmitted - before.transmitted;
    return {
      ...rates,
      systemCallsPerPacket: (after.system_calls - before.system_calls) / packets,
      packetsPerBurst: packets / (after.tx_batches - before.tx_batches),
    };
  });
  await millrace.stop();
  return sample;
}

const CONTESTANTS: readonly Contestant[] = [
  { name: "millrace", measure: measureMillrace, samples: [] },
  { name: "testpmd", measure: measureTestpmd, samples: [] },
];

interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >>> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

const spreadOf = (samples: readonly Sample[], field: keyof Sample): Spread =>
  spread(samples.map((sample) => sample[field]!));

function print({ median, min, max }: Spread, digits: number): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`;
}

function report(ours: readonly Sample[], theirs: readonly Sample[], isJson: boolean): void {
  const ratio =
    theirs.length === 0 ? undefined : spread(ours.map(({ mpps }, round) => mpps / theirs[round]!.mpps));
  if (isJson) {
    console.log(JSON.stringify({ rounds: ours.length, millrace: ours, testpmd: theirs, ratio }));
    return;
  }
  for (const [name, samples] of [
    ["millrace", ours],
    ["testpmd", theirs],
  ] as const) {
    if (samples.length === 0) continue;
    const lines = [`${name}: ${print(spreadOf(samples, "mpps"), 3)} Mpps`];
    lines.push(`${print(spreadOf(samples, "lossPercent"), 1)} % of what was offered lost`);
    if (name === "millrace") {
      const calls = spreadOf(samples, "systemCallsPerPacket");
      lines.push(`one system call for ${(1 / calls.median).toFixed(1)} packets`);
      lines.push(`${spreadOf(samples, "packetsPerBurst").median.toFixed(1)} packets a burst`);
    }
    console.log(lines.join(", "));
  }
  if (ratio !== undefined) console.log(`ratio, round by round: ${print(ratio, 2)}`);
}

function unavailable(): string | undefined {
  const reason = labUnavailable();
  if (reason !== undefined) return reason;
  if (availableParallelism() < 2) return "it takes two CPUs: the source would share the switch's";
  return undefined;
}

interface Settings {
  readonly timing: Timing;
  readonly rounds: number;
  readonly tuned: boolean;
  readonly isJson: boolean;
}

async function run({ timing, rounds, tuned, isJson }: Settings, folder: string): Promise<void> {
  const lab = new Lab({ teardown: () => undefined });
  try {
    const [before, middle, after] = [lab.namespace("src"), lab.namespace("sw"), lab.namespace("dst")];
    const [ingress, first] = lab.veth(before, middle);
    const [second, egress] = lab.veth(middle, after);
    const sink = new XdpSink(egress);
    const site: SwitchSite = {
      lab,
      namespace: middle,
      interfaces: [first.name, second.name],
      forwardingCpu: FORWARDING_CPU,
      otherCpu: SOURCE_CPU,
      folder,
    };
    const hasTestpmd = spawnSync("dpdk-testpmd", ["--version"]).error === undefined;
    const log = isJson ? console.error : console.log;
    if (hasTestpmd) log(`testpmd${tuned ? ", tuned" : ""}: buffers in ${Testpmd.memory()}`);
    else log("dpdk-testpmd is not installed (Debian: dpdk): millrace alone is measured");
    const contestants = hasTestpmd ? CONTESTANTS : CONTESTANTS.slice(0, 1);
    for (let round = 0; round < rounds; round += 1) {
      // Who goes first takes turns too.
      for (const { name, measure, samples } of round % 2 === 0 ? contestants : contestants.toReversed()) {
        const sample = await measure({ site, ingress, sink, timing, tuned });
        samples.push(sample);
        log(`round ${round + 1}: ${name} ${sample.mpps.toFixed(3)} of ${sample.offeredMpps.toFixed(2)} Mpps`);
      }
    }
    sink.close();
    report(CONTESTANTS[0]!.samples, CONTESTANTS[1]!.samples, isJson);
  } finally {
    lab.close();
  }
}

const { values } = parseArgs({
  options: {
    rounds: { type: "string" },
    seconds: { type: "string" },
    warmup: { type: "string" },
    tuned: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    smoke: { type: "boolean", default: false },
  },
});
const reason = unavailable();
if (reason !== undefined) {
  console.log(`AF_XDP is not measured: ${reason}`);
} else {
  const folder = mkdtempSync(join(tmpdir(), "millrace-bench-"));
  const removeFolder = (): void => rmSync(folder, { recursive: true, force: true });
  // Before the lab's own listener, which ends the process.
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, removeFolder);
  const [seconds, warmupSeconds, rounds] = values.smoke ? ["0.2", "0.2", "1"] : ["3", "1", "5"];
  try {
    await run(
      {
        timing: {
          seconds: Number(values.seconds ?? seconds),
          warmupSeconds: Number(values.warmup ?? warmupSeconds),
        },
        rounds: Number(values.rounds ?? rounds),
        tuned: values.tuned,
        isJson: values.json,
      },
      folder,
    );
  } catch (error) {
    console.error(`bench-afxdp: ${(error as Error).message}`);
    process.exitCode = 1;
  } finally {
    removeFolder();
  }
}
