// Capture files as ports: what is in the file is received byte for byte at the pace asked for, what is transmitted
// is found in the file that is written, and a damaged file is refused with the place of the damage.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import t from "tap";
import { NO_FRAME, PACKET_BYTES_MAX } from "../../../src/memory/frame-layout.ts";
import { openCapture } from "../../../src/packet/capture-reader.ts";
import { PcapWriter } from "../../../src/packet/pcap-writer.ts";
import { PcapngWriter } from "../../../src/packet/pcapng-writer.ts";
import { readPortCounters } from "../../../src/port/counters.ts";
import { testFrame } from "../../support/peer.ts";
import { runs } from "../../support/seed.ts";
import { FRAME_COUNT } from "../afxdp/rig.ts";
import { hex, PortRig } from "../port-rig.ts";

const folder = mkdtempSync(join(tmpdir(), "millrace-pcap-"));
t.teardown(() => rmSync(folder, { recursive: true }));
const file = (name: string): string => join(folder, name);
const fdCount = (): number => readdirSync("/proc/self/fd").length;

interface Timed {
  readonly bytes: Uint8Array;
  readonly millis: number;
}

function writeCapture(path: string, packets: readonly Timed[], format: "pcap" | "pcapng" = "pcap"): void {
  const parts: Uint8Array[] = [];
  const sink = (bytes: Uint8Array): void => {
    parts.push(bytes.slice());
  };
  const pcapng = format === "pcapng" ? new PcapngWriter(sink) : undefined;
  pcapng?.addInterface("test");
  const writer = pcapng ?? new PcapWriter(sink);
  for (const { bytes, millis } of packets) {
    const seconds = Math.floor(millis / 1000);
    writer.write(0, seconds, (millis - seconds * 1000) * 1e6, bytes.length, bytes, 0, bytes.length);
  }
  writer.flush();
  writeFileSync(path, Buffer.concat(parts));
}

function readCapture(path: string): Uint8Array[] {
  const reader = openCapture(path, readFileSync(path));
  const packets: Uint8Array[] = [];
  for (let packet = reader.next(); packet !== undefined; packet = reader.next()) {
    packets.push(reader.bytes.slice(packet.dataOffset, packet.dataOffset + packet.dataBytes));
  }
  reader.finish();
  return packets;
}

const at = (bytes: Uint8Array, millis = 0): Timed => ({ bytes, millis });

t.test("a file is received once, byte for byte, whatever its format and sizes", async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 16, max: PACKET_BYTES_MAX }), { maxLength: 60 }),
      fc.constantFrom("pcap" as const, "pcapng" as const),
      async (sizes, format) => {
        const frames = sizes.map((bytes, number) => testFrame(number, bytes));
        writeCapture(
          file("in"),
          frames.map((bytes) => at(bytes)),
          format,
        );
        const rig = new PortRig();
        const port = await rig.openPort({ name: "p", type: "pcap", options: { rx: file("in") } });
        const received: number[] = [];
        for (let burst = rig.burst(port.rx[0]!); burst.length > 0; burst = rig.burst(port.rx[0]!))
          received.push(...burst);
        t.ok(received.every((frame) => rig.packets.portNo(frame) === 1));
        t.strictSame(hex(rig.takeBytes(received)), hex(frames));
        t.strictSame(rig.burst(port.rx[0]!), [], "the file has ended");
        t.match(readPortCounters(rig.arena, 0), {
          rx_packets: frames.length,
          rx_bytes: sizes.reduce((sum, bytes) => sum + bytes, 0),
          rx_dropped: 0,
        });
        await rig.close(port);
        t.equal(rig.pooled(), FRAME_COUNT);
      },
    ),
    runs(12),
  );
});

t.test("a file larger than what is read at once", async (t) => {
  const frames = Array.from({ length: 900 }, (_, number) => testFrame(number, 60 + ((number * 131) % 1400)));
  writeCapture(
    file("large"),
    frames.map((bytes) => at(bytes)),
  );
  const rig = new PortRig();
  const port = await rig.openPort({ name: "p", type: "pcap", options: { rx: file("large") } });
  t.strictSame(hex(rig.takeBytes(await rig.receive(port, frames.length))), hex(frames));
  await rig.close(port);
});

t.test("looping starts over at the end, an empty file ends all the same", async (t) => {
  const frames = [1, 2, 3].map((number) => testFrame(number));
  writeCapture(
    file("loop"),
    frames.map((bytes) => at(bytes)),
  );
  writeCapture(file("empty"), []);
  const rig = new PortRig();
  const port = await rig.openPort({ name: "p", type: "pcap", options: { rx: file("loop"), pace: "loop" } });
  const received = await rig.receive(port, 200);
  t.strictSame(
    hex(rig.takeBytes(received)),
    received.map((_, index) => hex(frames)[index % 3]),
  );
  const empty = await rig.openPort(
    { name: "e", type: "pcap", options: { rx: file("empty"), pace: "loop" } },
    1,
  );
  t.strictSame(rig.burst(empty.rx[0]!), []);
  for (const one of [port, empty]) await rig.close(one);
  t.equal(rig.pooled(), FRAME_COUNT);
});

t.test("recorded pace keeps the file's distances, not its date", async (t) => {
  const day = 86_400_000;
  const distant = [at(testFrame(1), 5000), at(testFrame(2), 5000), at(testFrame(3), 5000 + day)];
  writeCapture(file("recorded"), distant);
  const rig = new PortRig();
  const port = await rig.openPort({
    name: "p",
    type: "pcap",
    options: { rx: file("recorded"), pace: "recorded" },
  });
  t.strictSame(hex(rig.takeBytes(rig.burst(port.rx[0]!))), hex([testFrame(1), testFrame(2)]), "due at once");
  t.strictSame(rig.burst(port.rx[0]!), [], "the third is due in a day");
  await rig.close(port);

  writeCapture(file("near"), [at(testFrame(1), 5000), at(testFrame(2), 5030)]);
  const near = await rig.openPort({
    name: "n",
    type: "pcap",
    options: { rx: file("near"), pace: "recorded" },
  });
  const begun = performance.now();
  t.strictSame(hex(rig.takeBytes(await rig.receive(near, 2))), hex([testFrame(1), testFrame(2)]));
  t.ok(performance.now() - begun >= 30, "never earlier than recorded");
  await rig.close(near);
  t.equal(rig.pooled(), FRAME_COUNT);
});

t.test("what is longer than passes is dropped as rx_long and the books balance", async (t) => {
  const fits = testFrame(1, PACKET_BYTES_MAX);
  writeCapture(
    file("long"),
    [fits, testFrame(2, PACKET_BYTES_MAX + 1), testFrame(3, 60_000), testFrame(4)].map((bytes) => at(bytes)),
  );
  const rig = new PortRig();
  const port = await rig.openPort({ name: "p", type: "pcap", options: { rx: file("long") } });
  t.strictSame(hex(rig.takeBytes(rig.burst(port.rx[0]!))), hex([fits, testFrame(4)]));
  t.match(rig.totals().drops, { rx_long: 2 });
  t.equal(rig.totals().counters.received, 2, "the queue receives for the books what it drops itself");
  t.match(readPortCounters(rig.arena, 0), { rx_packets: 4, rx_dropped: 2 });
  await rig.close(port);
});

t.test("an empty pool makes the file wait", async (t) => {
  const frames = [1, 2].map((number) => testFrame(number, 9000));
  writeCapture(
    file("wait"),
    frames.map((bytes) => at(bytes)),
  );
  const rig = new PortRig();
  const port = await rig.openPort({ name: "p", type: "pcap", options: { rx: file("wait") } });
  const held: number[] = [];
  for (let frame = rig.pool.alloc(); frame !== NO_FRAME; frame = rig.pool.alloc()) held.push(frame);
  for (const frame of held.splice(0, 3)) rig.pool.free(frame);
  t.strictSame(rig.burst(port.rx[0]!), [], "three frames are not enough for 9,000 bytes");
  for (const frame of held) rig.pool.free(frame);
  t.strictSame(hex(rig.takeBytes(rig.burst(port.rx[0]!))), hex(frames), "nothing was lost");
  await rig.close(port);
  t.equal(rig.pooled(), FRAME_COUNT);
});

t.test("what is transmitted stands in the file, chains of any shape as one packet", async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          bytes: fc.integer({ min: 16, max: PACKET_BYTES_MAX }),
          segmentBytes: fc.integer({ min: 60, max: 1700 }),
        }),
        { maxLength: 20 },
      ),
      fc.constantFrom("pcap", "pcapng"),
      async (shapes, format) => {
        const rig = new PortRig();
        const options = { tx: file("out"), "tx-format": format };
        const port = await rig.openPort({ name: "p", type: "pcap", options });
        t.equal(port.rx.length, 0, "nothing to receive from");
        const frames = shapes.map(({ bytes }, number) => testFrame(number, bytes));
        for (const [index, frame] of frames.entries()) {
          port.tx[0]!.put(rig.packet(frame, shapes[index]!.segmentBytes));
          if (index % 7 === 0) port.tx[0]!.flush();
        }
        await rig.close(port);
        t.strictSame(hex(readCapture(file("out"))), hex(frames));
        t.match(readPortCounters(rig.arena, 0), {
          tx_packets: frames.length,
          tx_bytes: frames.reduce((sum, frame) => sum + frame.length, 0),
        });
        t.equal(rig.totals().counters.transmitted, frames.length);
        t.equal(rig.pooled(), FRAME_COUNT);
      },
    ),
    runs(12),
  );
});

t.test("a damaged file is refused with its place, and leaves nothing open", async (t) => {
  const whole = file("whole");
  writeCapture(
    whole,
    [1, 2, 3].map((number) => at(testFrame(number))),
  );
  const bytes = readFileSync(whole);
  writeFileSync(file("cut"), bytes.subarray(0, bytes.length - 5));
  writeFileSync(file("noise"), Buffer.from("this is no capture file at all"));
  const raw = Buffer.from(bytes);
  raw.writeUInt32LE(101, 20);
  writeFileSync(file("raw-ip"), raw);
  const rig = new PortRig();
  const before = fdCount();
  const refused = async (options: Record<string, unknown>, message: RegExp, rxqCount = 1): Promise<void> => {
    await t.rejects(rig.openPort({ name: "p", type: "pcap", rxqCount, options }), { message });
  };
  await refused({ rx: file("cut") }, /^port p: .*cut: offset 184: /);
  await refused({ rx: file("noise") }, /^port p: .*noise: offset 0: /);
  await refused({ rx: file("raw-ip") }, /^port p: .*raw-ip: offset \d+: .*link type 101/);
  await refused({ rx: file("none") }, /^port p: .*ENOENT.*none/);
  await refused({ rx: whole, tx: join(folder, "nowhere", "out") }, /^port p: .*ENOENT.*nowhere/);
  await refused({ rx: whole, pace: "fast" }, /^port p: option pace: /);
  await refused({ speed: 1 }, /^port p: option speed: /);
  await refused({ rx: whole }, /one queue; lower rx-queues to 1/, 2);
  t.equal(fdCount(), before);
});
