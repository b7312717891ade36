// How long an upcall waits while the switch is busy with a table of many flows: a paced source sends packets of new
// stations, each a miss, and the time from the worker's sending to the handler's answer is printed for a switch that does
// nothing else, one that dumps all flows over and over, one that puts and removes flows, and one whose ports come and go,
// so that every flow is looked at again. Beside it stands how long the handler's thread ran and how long it stood ready
// and had no processor (/proc/self/task/*/schedstat): on a busy machine the longest waits are the scheduler's. Prints,
// asserts nothing but that no upcall was lost.
//   node build/scripts/bench-upcalls.js [--flows 200000] [--seconds 3] [--rate 1000]
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { parseConfig } from "../src/control/config/load.ts";
import { placeControlThreads } from "../src/control/control-cpus.ts";
import { Log } from "../src/control/log.ts";
import { Switch } from "../src/control/switch.ts";
import { readTotals } from "../src/datapath/counters.ts";
import { newKey, setNumber, setOnes } from "../src/flow/key.ts";
import { buildFrame, padFrame } from "../src/packet/builder.ts";
import { ethernet } from "../src/packet/builder-link.ts";
import { ipv4 } from "../src/packet/builder-network.ts";
import { PcapWriter } from "../src/packet/pcap-writer.ts";
import type { FlowChange } from "../src/upcall/flow-change.ts";

const { values } = parseArgs({
  options: {
    flows: { type: "string", default: "200000" },
    seconds: { type: "string", default: "3" },
    rate: { type: "string", default: "1000" },
  },
});
const FLOW_COUNT = Number(values.flows);
const SECONDS = Number(values.seconds);
const RATE = Number(values.rate);
/** A port of which no packet comes: the table's flows are in nobody's way. */
const ELSEWHERE = 9999;
const CHANGES_PER_TURN = 1024;
/** Room for what the source makes the switch learn, and for the flows that are put and removed. */
const SPARE_FLOWS = 65_536;

const CONFIG = `
workers: { cpus: 1, sleep-micros-max: 50 }
memory: { flows: ${FLOW_COUNT + SPARE_FLOWS} }
policy: { mac-table-size: 100000 }
ports:
  - { name: sink, type: "null" }
`;

/** The source: RATE packets a second, each of a station that was not seen before. */
function writeSource(path: string): void {
  const chunks: Uint8Array[] = [];
  const writer = new PcapWriter((bytes) => chunks.push(bytes.slice()));
  for (let n = 0; n < RATE * SECONDS; n += 1) {
    const src = `02:00:00:${[n >>> 16, (n >>> 8) & 255, n & 255].map((byte) => byte.toString(16).padStart(2, "0")).join(":")}`;
    const frame = padFrame(buildFrame([ethernet({ src, dst: "02:ff:00:00:00:01" }), ipv4({})]));
    const nanos = Math.round((n / RATE) * 1e9);
    writer.write(0, Math.floor(nanos / 1e9), nanos % 1e9, frame.length, frame, 0, frame.length);
  }
  writer.flush();
  writeFileSync(path, Buffer.concat(chunks));
}

function change(op: "put" | "remove", n: number): FlowChange {
  const key = newKey();
  const mask = newKey();
  setNumber(key, "in_port", ELSEWHERE);
  setNumber(key, "nw_src", n);
  for (const name of ["in_port", "recirc_id", "nw_src"] as const) setOnes(mask, name);
  if (op === "remove") return { op, key, ufid: undefined };
  return {
    op,
    key,
    mask,
    ufid: undefined,
    actions: new Uint8Array(0),
    create: true,
    modify: false,
    clear: false,
  };
}

const range = (op: "put" | "remove", from: number, count: number): FlowChange[] =>
  Array.from({ length: count }, (_, index) => change(op, from + index));

type Work = (running: Switch, isOver: () => boolean) => Promise<string>;

const WORKS: readonly (readonly [what: string, work: Work])[] = [
  [
    "nothing else",
    async (_, isOver) => {
      while (!isOver()) await sleep(10);
      return "";
    },
  ],
  [
    "dumps",
    async ({ flows }, isOver) => {
      let dumped = 0;
      while (!isOver()) for await (const _ of flows.all()) dumped += 1;
      return `${dumped} flows dumped`;
    },
  ],
  [
    "puts and removals",
    async ({ flows }, isOver) => {
      let changed = 0;
      for (; !isOver(); changed += 2 * CHANGES_PER_TURN) {
        await flows.writer.apply(range("put", FLOW_COUNT, CHANGES_PER_TURN));
        await flows.writer.apply(range("remove", FLOW_COUNT, CHANGES_PER_TURN));
      }
      return `${changed} flows changed`;
    },
  ],
  [
    "ports come and go",
    async ({ ports }, isOver) => {
      let times = 0;
      for (; !isOver(); times += 1) {
        const { portNo } = await ports.add({ name: "guest", type: "null" });
        await sleep(50);
        await ports.remove(portNo);
      }
      return `${times} times`;
    },
  ],
];

/** Milliseconds that the handler's thread ran, and stood in the run queue, until now. */
function handlerMillis(): { ran: number; stood: number } {
  for (const task of readdirSync("/proc/self/task")) {
    const folder = `/proc/self/task/${task}`;
    if (readFileSync(`${folder}/comm`, "utf8").trim() !== "handler") continue;
    const [ran, stood] = readFileSync(`${folder}/schedstat`, "utf8")
      .split(" ")
      .map((nanos) => Number(nanos) / 1e6);
    return { ran: ran!, stood: stood! };
  }
  throw new Error("no thread is named handler");
}

async function measure(what: string, work: Work, source: string): Promise<void> {
  const config = parseConfig(CONFIG, "bench-upcalls");
  placeControlThreads(config);
  const running = await Switch.start(config, new Log("err"));
  try {
    for (let from = 0; from < FLOW_COUNT; from += CHANGES_PER_TURN) {
      await running.flows.writer.apply(range("put", from, Math.min(CHANGES_PER_TURN, FLOW_COUNT - from)));
    }
    if (running.flows.flowCount !== FLOW_COUNT) throw new Error(`${running.flows.flowCount} flows were put`);
    await running.ports.add({ name: "source", type: "pcap", options: { rx: source, pace: "recorded" } });
    const over = performance.now() + SECONDS * 1000;
    const before = handlerMillis();
    const did = await work(running, () => performance.now() > over);
    const after = handlerMillis();
    const { counters } = readTotals(running.arena);
    const { latencyMicros } = await running.handler.ask("stats", {});
    if (counters.upcall_lost > 0) throw new Error(`${counters.upcall_lost} upcalls were lost`);
    const { p50, p99, max } = latencyMicros;
    console.log(
      `${what}: ${counters.upcall_miss} upcalls waited p50 ${p50} us, p99 ${p99} us, longest ${max} us; the handler ran ` +
        `${(after.ran - before.ran).toFixed(0)} ms and stood ready for ${(after.stood - before.stood).toFixed(0)} ms` +
        `${did === "" ? "" : `; ${did}`}`,
    );
  } finally {
    await running.stop();
  }
}

const folder = mkdtempSync(join(tmpdir(), "millrace-bench-"));
try {
  const source = join(folder, "source.pcap");
  writeSource(source);
  console.log(`${FLOW_COUNT} flows, ${RATE} upcalls a second`);
  for (const [what, work] of WORKS) await measure(what, work, source);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit();
