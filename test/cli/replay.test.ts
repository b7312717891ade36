// `millrace replay` and `millrace bench` as programs: what they forward, count, print and refuse.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import t from "tap";
import { writeScenario } from "../../scripts/bench-scenario.ts";
import { scenarios } from "../../scripts/bench-scenarios.ts";
import { buildFrame } from "../../src/packet/builder.ts";
import { ethernet } from "../../src/packet/builder-link.ts";
import { ipv4 } from "../../src/packet/builder-network.ts";
import { udp } from "../../src/packet/builder-transport.ts";
import { openCapture } from "../../src/packet/capture-reader.ts";
import { PcapWriter } from "../../src/packet/pcap-writer.ts";

const CLI = resolve(import.meta.dirname, "../../src/cli/millrace.js");
const BAD_DATA = 65;
const PACKETS = 200;

const folder = mkdtempSync(join(tmpdir(), "millrace-replay-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

function millrace(...args: string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], { encoding: "utf8" });
  return { code: status, out: stdout, err: stderr };
}

/** Frames from one host to another, a millisecond apart; port 2's come half a millisecond later. */
function writeCapture(name: string, from: number, to: number, count = PACKETS): string {
  const chunks: Uint8Array[] = [];
  const writer = new PcapWriter((bytes) => chunks.push(bytes.slice()));
  for (let index = 0; index < count; index += 1) {
    const layers = [
      ethernet({ src: `02:00:00:00:00:0${from}`, dst: `02:00:00:00:00:0${to}` }),
      ipv4({ src: `10.0.0.${from}`, dst: `10.0.0.${to}` }),
      udp({ src: 1000 + (index % 4), dst: 7 }),
    ];
    const frame = buildFrame(layers, new Uint8Array(18));
    writer.write(0, 1, index * 1_000_000 + from * 500_000, frame.length, frame, 0, frame.length);
  }
  writer.flush();
  const path = join(folder, name);
  writeFileSync(path, Buffer.concat(chunks));
  return path;
}

function readFrames(path: string): string[] {
  const reader = openCapture(path, readFileSync(path));
  const frames: string[] = [];
  for (let packet = reader.next(); packet !== undefined; packet = reader.next()) {
    frames.push(
      Buffer.from(reader.bytes.subarray(packet.dataOffset, packet.dataOffset + packet.dataBytes)).toString(
        "hex",
      ),
    );
  }
  reader.finish();
  return frames;
}

const left = writeCapture("left.pcap", 1, 2);
const right = writeCapture("right.pcap", 2, 1);

t.test("two captures through the learning policy", async (t) => {
  const out = join(folder, "out.pcap");
  const args = [
    "replay",
    "--in",
    `1=${left}`,
    "--in",
    `2=${right}`,
    "--policy",
    "learn",
    "--out",
    `2=${out}`,
    "--json",
  ];
  const { code, out: text } = millrace(...args);
  t.equal(code, 0);
  const result = JSON.parse(text) as {
    packets: number;
    balance: number;
    terms: Record<string, number>;
    flows: { packets: number }[];
  };
  t.equal(result.packets, 2 * PACKETS);
  t.equal(result.balance, 0, "the books balance");
  t.equal(result.terms["transmitted"], 2 * PACKETS, "everything is forwarded, the first packets too");
  t.equal(
    result.flows.reduce((sum, { packets }) => sum + packets, 0),
    2 * PACKETS,
    "flows count every packet",
  );
  t.same(readFrames(out), readFrames(left), "port 2 sends what port 1 received, in order");
  t.equal(millrace(...args).out, text, "a second run gives the same answer");
});

t.test("flows of a file, printed and read back", async (t) => {
  const flows = join(folder, "flows.txt");
  writeFileSync(
    flows,
    "# a comment\nin_port(1),eth(),eth_type(0x0800),ipv4(proto=17),udp(src=1001) set(ipv4(ttl=9)),2\n",
  );
  const first = millrace("replay", "--in", `1=${left}`, "--flows", flows);
  t.equal(first.code, 0, first.err);
  t.match(
    first.out,
    new RegExp(`dropped: miss_policy +${(PACKETS * 3) / 4}`),
    "what no flow matches is dropped and counted",
  );
  const dumped = join(folder, "dumped.txt");
  writeFileSync(dumped, first.out.split("flows: 1\n")[1]!.replace(/^ +/gm, ""));
  t.equal(millrace("replay", "--in", `1=${left}`, "--flows", dumped).out, first.out, "a dump is a flow file");
});

t.test("bad input is refused with its place", async (t) => {
  const flows = join(folder, "bad.txt");
  writeFileSync(
    flows,
    "in_port(1),eth(),eth_type(0x0800),ipv4() 2\nin_port(1),eth(),eth_type(0x0800),ipv4() 2,bogus\n",
  );
  const { code, err } = millrace("replay", "--in", `1=${left}`, "--flows", flows);
  t.equal(code, BAD_DATA);
  t.match(err, /bad\.txt:2:\d+: .*expected/);
  const twice = join(folder, "twice.txt");
  writeFileSync(twice, `${"in_port(1),eth(),eth_type(0x0800),ipv4() 2\n".repeat(2)}`);
  const refused = millrace("replay", "--in", `1=${left}`, "--flows", twice);
  t.equal(refused.code, BAD_DATA);
  t.match(refused.err, /twice\.txt:2:1: a flow is in the way \(ufid:/);
  const damaged = join(folder, "damaged.pcap");
  writeFileSync(damaged, readFileSync(left).subarray(0, 90));
  const cut = millrace("replay", "--in", `1=${damaged}`);
  t.equal(cut.code, BAD_DATA);
  t.match(cut.err, /damaged\.pcap: offset \d+/);
});

t.test("ties go by port number, then by position; every option counts", async (t) => {
  const [first, second] = [join(folder, "out-a.pcap"), join(folder, "out-b.pcap")];
  const flows = join(folder, "ties.txt");
  writeFileSync(
    flows,
    "in_port(1),eth(),eth_type(0x0800),ipv4() 3,9\nin_port(2),eth(),eth_type(0x0800),ipv4() 3\n",
  );
  // The same time stamps on both ports, and port 1 twice.
  const inputs = ["--in", `2=${left}`, "--in", `1=${left}`, "--in", `1=${right}`];
  const args = [...inputs, "--flows", flows, "--out", `3=${first}`, "--out", `3=${second}`, "--json"];
  const { code, out, err } = millrace("replay", ...args);
  t.equal(code, 0, err);
  const [lefts, rights] = [readFrames(left), readFrames(right)];
  // Right's packets come half a millisecond behind left's.
  const expected = lefts.flatMap((frame, index) => [frame, frame, rights[index]!]);
  t.same(readFrames(first), expected);
  t.same(readFrames(second), expected, "each --out of a port gets everything");
  const {
    balance,
    ports,
    flows: rows,
  } = JSON.parse(out) as {
    balance: number;
    ports: { portNo: number; counters: Record<string, number> }[];
    flows: { packets: number }[];
  };
  t.equal(balance, 0);
  t.same(
    ports.map(({ portNo, counters }) => [portNo, counters["rx_packets"], counters["tx_packets"]]),
    [
      [1, 2 * PACKETS, 0],
      [2, PACKETS, 0],
      [3, 0, 3 * PACKETS],
      [9, 0, 2 * PACKETS],
    ],
    "a port without --out counts",
  );
  t.same(rows.map(({ packets }) => packets).sort(), [PACKETS, 2 * PACKETS]);
});

t.test("an output file is nobody else's", async (t) => {
  const before = readFileSync(left);
  for (const outs of [[`2=${left}`], [`2=${join(folder, "x.pcap")}`, `3=${join(folder, "x.pcap")}`]]) {
    const { code, err } = millrace("replay", "--in", `1=${left}`, ...outs.flatMap((out) => ["--out", out]));
    t.equal(code, 1);
    t.match(err, /the file belongs to --(in 1|out 2)=/);
  }
  t.same(readFileSync(left), before, "the input is as it was");
});

t.test("a bond: whoever goes there goes by one of its members", async (t) => {
  const files = [2, 3].map((portNo) => join(folder, `member${portNo}.pcap`));
  const outs = files.flatMap((file, index) => ["--out", `${index + 2}=${file}`]);
  for (const mode of ["active-backup", "balance-slb", "balance-tcp", "lb-output"]) {
    const run = millrace("replay", "--in", `1=${left}`, "--bond", `${mode}=2,3`, ...outs);
    t.equal(run.code, 0, run.err);
    const [second, third] = files.map(readFrames);
    t.equal(second!.length + third!.length, PACKETS, `${mode}: each once`);
    if (mode === "active-backup") t.equal(third!.length, 0, "the first is active");
    if (mode === "balance-slb") t.equal(Math.min(second!.length, third!.length), 0, "one source, one member");
    if (mode === "lb-output") t.match(run.out, /actions:lb_output\(1\)/);
    if (mode === "balance-tcp") t.match(run.out, /actions:hash\(l4\(0\)\),recirc\(0x1\)/);
  }
  for (const [bond, problem] of [
    ["balance=2,3", /MODE one of active-backup/],
    ["balance-slb=2", /MODE=PORT,PORT is expected/],
    ["balance-slb=2,2", /port 2 is named twice/],
  ] as const) {
    const { code, err } = millrace("replay", "--in", `1=${left}`, "--bond", bond);
    t.equal(code, 2);
    t.match(err, problem);
  }
});

t.test("bench prints a figure that was checked", async (t) => {
  const flows = join(folder, "bench.txt");
  writeFileSync(flows, "in_port(1),eth(),eth_type(0x0800),ipv4() lb_output(1),4\n");
  const bond = ["--bond", "lb-output=2,3"];
  const args = ["--rx", left, "--flows", flows, ...bond, "--seconds", "0.2", "--json"];
  const { code, out, err } = millrace("bench", ...args);
  t.equal(code, 0, err);
  const result = JSON.parse(out) as Record<string, number>;
  for (const name of ["packets", "seconds", "mpps", "nsPerPacket", "outputsChecked"])
    t.ok(result[name]! > 0, name);
  if (process.platform === "linux") t.ok(result["cpuShare"]! > 0 && result["cpuShare"]! <= 1, "cpuShare");
});

t.test("bench without a look-up, and with a tunnel", async (t) => {
  const floor = millrace("bench", "--rx", left, "--floor", "--seconds", "0.2", "--json");
  t.equal(floor.code, 0, floor.err);
  const { outputsChecked, masksPerPacket } = JSON.parse(floor.out) as Record<string, number>;
  t.ok(outputsChecked! > 0);
  t.equal(masksPerPacket, 0, "nothing is looked up");
  const scenario = scenarios(PACKETS).find(({ name }) => name === "vxlan-decap")!;
  const { capture, flows } = writeScenario(scenario, folder);
  const args = ["bench", "--rx", capture, "--flows", flows, "--seconds", "0.2"];
  t.match(
    millrace(...args, "--tunnel-port", "9").out,
    /2 flows, [\d.]+ subtables a hit, \d+ outputs checked/,
  );
  for (const wrong of [["--floor", "--flows", flows], []]) {
    const { code, err } = millrace("bench", "--rx", left, ...wrong);
    t.equal(code, 2);
    t.match(err, /one of --flows and --floor is expected/);
  }
});
