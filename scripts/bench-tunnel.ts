// What a tunnel costs a packet in the reference pipeline: one worker, 64-byte frames from memory, a flow that forwards,
// one that encapsulates (tnl_push), one that puts packets out of a flow-based tunnel port, one that decapsulates and
// looks the inner packet up again. Cases alternate; the median of the rounds is told, with the least and the most.
//   node build/scripts/bench-tunnel.js [--seconds S] [--rounds N]
import { parseArgs } from "node:util";
import { PORT_DRIVERS } from "../src/control/drivers.ts";
import { parseFlowFile } from "../src/control/flow-file.ts";
import { installFlows } from "../src/control/flow-install.ts";
import { OfflineSwitch } from "../src/control/offline-switch.ts";
import { readTotals } from "../src/datapath/counters.ts";
import { MEMORY_BUFFERS_MAX } from "../src/memory/queue-layout.ts";
import { DEFAULT_SIZES, PAGE_BYTES } from "../src/memory/region-plan.ts";
import { hexToBytes } from "../src/packet/bytes.ts";
import { memoryDriver, memoryQueues } from "../src/perf/memory-port.ts";
import { MemoryTraffic } from "../src/perf/memory-traffic.ts";
import { QUEUE_FACTORIES } from "../src/port/queue-factories.ts";
import { parsePrefix } from "../src/tunnel/ip.ts";

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "1" }, rounds: { type: "string", default: "5" } },
});
const SECONDS = Number(values.seconds);
const ROUNDS = Number(values.rounds);
const LOOPS_PER_LOOK = 256;
const TUNNEL_PORT_NO = 9;
const INNER = `0a00000000020a000000000108004500003200000000401100000a0a0a010a0a0a02${"03e807d0001e0000"}${"00".repeat(22)}`;
const OUTER = `0200000000010200000000020800450000640000400040110000${"0a0900020a090001"}c00012b5005000000800000000004d00`;
const HEADER =
  "header(size=50,type=4,eth(dst=02:00:00:00:00:02,src=02:00:00:00:00:01,dl_type=0x0800)," +
  "ipv4(src=10.9.0.1,dst=10.9.0.2,proto=17,tos=0,ttl=64,frag=0x4000),udp(src=0,dst=4789,csum=0x0)," +
  "vxlan(flags=0x8000000,vni=0x4d))";
const MATCH = "in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)";
const INNER_MATCH = `in_port(${TUNNEL_PORT_NO}),eth(),eth_type(0x0800),ipv4(frag=no)`;

const CASES = [
  { name: "forward", hex: INNER, flows: [`${MATCH} 2`] },
  {
    name: "tnl_push",
    hex: INNER,
    flows: [`${MATCH} tnl_push(tnl_port(${TUNNEL_PORT_NO}),${HEADER},out_port(2)),2`],
  },
  {
    name: "set(tunnel), tunnel port",
    hex: INNER,
    flows: [`${MATCH} set(tunnel(tun_id=0x4d,dst=10.9.0.2,ttl=64,flags(df|key))),${TUNNEL_PORT_NO}`],
  },
  {
    name: "tnl_pop, look-up",
    hex: withChecksum(OUTER) + INNER,
    flows: [`${MATCH} tnl_pop(${TUNNEL_PORT_NO})`, `${INNER_MATCH} 2`],
  },
] as const;

/** The outer IPv4 header's checksum put in. */
function withChecksum(hex: string): string {
  const bytes = hexToBytes(hex);
  let sum = 0;
  for (let at = 14; at < 34; at += 2) sum += (bytes[at]! << 8) | bytes[at + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  const checksum = (~sum & 0xffff).toString(16).padStart(4, "0");
  return hex.slice(0, 48) + checksum + hex.slice(52);
}

async function open(hex: string, flows: readonly string[]): Promise<OfflineSwitch> {
  const frames = [hexToBytes(hex)];
  const traffic = new MemoryTraffic(frames, new Set());
  const policy = {
    type: "flows",
    "mac-aging-seconds": 300,
    "mac-table-size": 10,
    "flow-idle-millis": 10_000,
    "flow-limit": 10,
  } as const;
  const offline = new OfflineSwitch({
    sizes: {
      ...DEFAULT_SIZES,
      frameCount: MEMORY_BUFFERS_MAX * 4,
      flowCountMax: 1024,
      kernelRingBytes: Math.ceil(traffic.bytes / PAGE_BYTES + 2) * PAGE_BYTES,
    },
    policy,
    vlanLimit: 1,
    seed: 0,
    drivers: new Map([...PORT_DRIVERS, ["null", memoryDriver(traffic, 1)]]),
    factories: new Map([...QUEUE_FACTORIES, ["null", memoryQueues(traffic)]]),
  });
  await offline.ports.add({ name: "in", type: "null", portNo: 1 });
  const out = await offline.ports.add({ name: "out", type: "null", portNo: 2 });
  await offline.ports.add({ name: "vx", type: "vxlan", portNo: TUNNEL_PORT_NO });
  offline.tunnels.setAddresses(out, [parsePrefix("10.9.0.1/24")!], true);
  offline.tunnels.learn({
    portName: "out",
    ip: parsePrefix("10.9.0.2")!.ip,
    mac: hexToBytes("020000000002"),
  });
  offline.tunnels.publishNow();
  await installFlows(offline.flows.writer, [parseFlowFile(flows.join("\n"), "flows", NO_PORTS, 1)]);
  return offline;
}

const NO_PORTS = { numbers: new Map<string, number>(), names: new Map<number, string>() };

/** Nanoseconds a packet. @throws Error when a packet did not leave by port 2 */
function measure(offline: OfflineSwitch, seconds: number): number {
  const before = readTotals(offline.arena).counters;
  const start = performance.now();
  let elapsed = 0;
  while (elapsed < seconds * 1e3) {
    offline.clock.advanceTo(1 + performance.now());
    for (let loop = 0; loop < LOOPS_PER_LOOK; loop += 1) offline.pmd.iterate();
    elapsed = performance.now() - start;
  }
  const after = readTotals(offline.arena).counters;
  const packets = after.received - before.received;
  if (after.transmitted - before.transmitted !== packets) {
    throw new Error(`${after.transmitted - before.transmitted} of ${packets} packets were sent; no figure`);
  }
  return (elapsed * 1e6) / packets;
}

const switches = [];
for (const { name, hex, flows } of CASES)
  switches.push({ name, offline: await open(hex, flows), nanos: [] as number[] });
for (const { offline } of switches) measure(offline, SECONDS / 2);
for (let round = 0; round < ROUNDS; round += 1) {
  for (const { offline, nanos } of switches) nanos.push(measure(offline, SECONDS));
}
for (const { name, nanos, offline } of switches) {
  const sorted = nanos.toSorted((a, b) => a - b);
  const [least, median, most] = [sorted[0]!, sorted[sorted.length >> 1]!, sorted.at(-1)!];
  console.log(
    `${name.padEnd(26)} ${median.toFixed(0).padStart(5)} ns a packet (${least.toFixed(0)} to ${most.toFixed(0)})`,
  );
  await offline.close();
}
