// tshark and capinfos as judges: they read what our writers write, and find every checksum that the builders
// compute to be good.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import t from "tap";
import { buildFrame, type Layer } from "../../src/packet/builder.ts";
import { ethernet, vlan } from "../../src/packet/builder-link.ts";
import { ipv4, ipv6, ipv6Extension, ipv6Routing } from "../../src/packet/builder-network.ts";
import { icmp, icmpv6, linkAddressOption, nd, sctp, tcp, udp } from "../../src/packet/builder-transport.ts";
import type { CaptureWriter } from "../../src/packet/capture.ts";
import { PcapWriter } from "../../src/packet/pcap-writer.ts";
import { PcapngWriter } from "../../src/packet/pcapng-writer.ts";
import { SEED } from "../support/seed.ts";

const TOOL_BYTES_MAX = 64 * 1024 * 1024;
const skip =
  spawnSync("tshark", ["--version"]).error === undefined ? false : "tshark is not installed (package tshark)";

const folder = mkdtempSync(join(tmpdir(), `millrace-tshark-${process.pid}-`));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

interface Packet {
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly frame: Uint8Array;
}

const port = fc.integer({ min: 1, max: 65535 });
const address4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
const address6 = fc.uint8Array({ minLength: 16, maxLength: 16 });
const ports = fc.record({ src: port, dst: port });

const stack4 = fc
  .tuple(
    fc.record({ src: address4, dst: address4, tos: fc.nat(255) }),
    ports,
    fc.constantFrom(tcp, udp, sctp, icmp),
  )
  .map(([fields, l4, layer]): Layer[] => [ipv4(fields), layer(l4)]);
const solicitation = (_ports: object): Layer => nd({ options: [linkAddressOption(1, "02:00:00:00:00:09")] });
const stack6 = fc
  .tuple(
    fc.record({ src: address6, dst: address6 }),
    fc.constantFrom<() => Layer[]>(
      () => [],
      () => [ipv6Extension({ protocol: 60 })],
      () => [ipv6Routing({ type: 2, segmentsLeft: 1, addresses: ["fd00::77"] })],
    ),
    ports,
    fc.constantFrom(tcp, udp, sctp, icmpv6, solicitation),
  )
  .map(([fields, extensions, l4, layer]): Layer[] => [ipv6(fields), ...extensions(), layer(l4)]);

const packet: fc.Arbitrary<Packet> = fc
  .tuple(
    fc.record({ seconds: fc.integer({ min: 1, max: 0x7fffffff }), nanoseconds: fc.nat(999_999_999) }),
    fc.array(fc.nat(4095), { maxLength: 2 }),
    fc.oneof(stack4, stack6),
    fc.uint8Array({ minLength: 16, maxLength: 99 }),
  )
  .map(([time, vids, stack, payload]) => {
    // A byte that opens no protocol which tshark would guess behind a port number.
    const layers = [ethernet(), ...vids.map((vid) => vlan({ vid })), ...stack];
    return { ...time, frame: buildFrame(layers, payload.fill(0)) };
  });

const PACKETS = fc.sample(packet, { seed: SEED, numRuns: 300 });

function writeFile(name: string, make: (sink: (bytes: Uint8Array) => void) => CaptureWriter): string {
  const chunks: Uint8Array[] = [];
  const writer = make((bytes) => chunks.push(bytes.slice()));
  for (const { seconds, nanoseconds, frame } of PACKETS) {
    writer.write(0, seconds, nanoseconds, frame.length + 3, frame, 0, frame.length);
  }
  writer.flush();
  const path = join(folder, name);
  writeFileSync(path, Buffer.concat(chunks));
  return path;
}

const FORMS: Readonly<Record<string, (sink: (bytes: Uint8Array) => void) => CaptureWriter>> = {
  "nano-le.pcap": (sink) => new PcapWriter(sink),
  "nano-be.pcap": (sink) => new PcapWriter(sink, { littleEndian: false }),
  "micro-le.pcap": (sink) => new PcapWriter(sink, { resolution: "micro" }),
  "le.pcapng": (sink) => {
    const writer = new PcapngWriter(sink);
    writer.addInterface("port-one");
    return writer;
  },
  "be.pcapng": (sink) => {
    const writer = new PcapngWriter(sink, { littleEndian: false });
    writer.addInterface("port-one");
    return writer;
  },
};

function tsharkLines(path: string, fields: readonly string[], options: readonly string[] = []): string[][] {
  const wanted = fields.flatMap((field) => ["-e", field]);
  const args = ["-r", path, "-n", "-T", "fields", "-E", "occurrence=l", ...wanted, ...options];
  const text = execFileSync("tshark", args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    maxBuffer: TOOL_BYTES_MAX,
  });
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => line.split("\t"));
}

t.test("tshark reads the same times, lengths and interfaces", { skip }, async (t) => {
  for (const [name, make] of Object.entries(FORMS)) {
    const path = writeFile(name, make);
    const lines = tsharkLines(path, [
      "frame.time_epoch",
      "frame.cap_len",
      "frame.len",
      "frame.interface_name",
    ]);
    const wanted = PACKETS.map(({ seconds, nanoseconds, frame }) => {
      const fraction = name.startsWith("micro") ? Math.floor(nanoseconds / 1000) * 1000 : nanoseconds;
      const time = `${seconds}.${String(fraction).padStart(9, "0")}`;
      return [time, String(frame.length), String(frame.length + 3), name.endsWith("ng") ? "port-one" : ""];
    });
    t.same(lines, wanted, name);
  }
});

t.test("capinfos counts the same packets and bytes", { skip }, async (t) => {
  const dataBytes = PACKETS.reduce((sum, { frame }) => sum + frame.length + 3, 0);
  for (const [name, make] of Object.entries(FORMS)) {
    const text = execFileSync("capinfos", ["-M", "-c", "-d", "-t", writeFile(name, make)], {
      encoding: "utf8",
    });
    t.match(text, new RegExp(`Number of packets:\\s+${PACKETS.length}\\n`), `${name}: packets`);
    t.match(text, new RegExp(`Data size:\\s+${dataBytes} bytes`), `${name}: bytes`);
  }
});

t.test("tshark finds every checksum of built frames good", { skip }, async (t) => {
  const path = writeFile("checksums.pcapng", FORMS["le.pcapng"]!);
  const protocols = ["ip", "tcp", "udp", "sctp"];
  const check = protocols.flatMap((name) => ["-o", `${name}.check_checksum:TRUE`]);
  check[check.length - 1] = "sctp.checksum:crc-32c";
  // 1 is "good" in all status fields; absent when the frame has no such header.
  const fields = [
    "ip.checksum.status",
    "tcp.checksum.status",
    "udp.checksum.status",
    "sctp.checksum.status",
    "icmp.checksum.status",
    "icmpv6.checksum.status",
  ];
  const lines = tsharkLines(path, fields, check);
  t.equal(lines.length, PACKETS.length);
  const found = fields.map(() => 0);
  for (const [index, values] of lines.entries()) {
    const bad = values.findIndex((value) => value !== "" && value !== "1");
    if (bad >= 0) t.fail(`packet ${index}: ${fields[bad]} is ${values[bad]}`);
    for (const [column, value] of values.entries()) found[column]! += value === "1" ? 1 : 0;
  }
  for (const [column, field] of fields.entries())
    t.ok(found[column]! > 0, `${field} was judged ${found[column]} times`);
});
