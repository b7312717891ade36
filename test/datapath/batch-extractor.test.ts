// Keys of packets whose headers do not lie in one frame: every packet is cut in two at every byte of its headers, and
// into many parts at random, up to the longest packet that passes; its key is that of the packet in one piece.
import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { BatchExtractor } from "../../src/datapath/batch-extractor.ts";
import { ThreadCounters } from "../../src/datapath/counters.ts";
import { KeyExtractor } from "../../src/flow/extract-key.ts";
import { KEY_BYTES } from "../../src/flow/fields.ts";
import { BatchColumns } from "../../src/memory/batch-columns.ts";
import { BATCH_SIZE } from "../../src/memory/batch-layout.ts";
import { FRAME_HEADROOM_BYTES, PACKET_BYTES_MAX } from "../../src/memory/frame-layout.ts";
import { ActionRig, type ChainPart, randomChain } from "../action/rig.ts";
import { hostileFrame } from "../flow/hostile-frames.ts";
import { differingFields } from "../flow/slow-extract.ts";
import { SeededRandom } from "../support/random.ts";
import { runs, SEED } from "../support/seed.ts";

const FRAME_BYTES = 2048;
const IN_PORT = 7;
const VLAN_LIMIT = 2;
/** Headers of generated frames end before; the rest is payload, where a cut is like any other. */
const CUT_MAX = 300;
/** What the rig's 256 frames hold at once when every packet has seven. */
const BATCH = 32;

const random = new SeededRandom(SEED);

class CutRig {
  readonly #rig = new ActionRig(VLAN_LIMIT, FRAME_BYTES);
  readonly #whole = new KeyExtractor(VLAN_LIMIT);
  readonly #columns = new BatchColumns(this.#rig.arena, 0);
  readonly #extractor = new BatchExtractor({
    programs: { current: null },
    arena: this.#rig.arena,
    columns: this.#columns,
    pool: this.#rig.pool,
    packets: this.#rig.packets,
    counters: new ThreadCounters(this.#rig.arena, 0),
    vlanLimit: VLAN_LIMIT,
  });

  /** Extracts the packet once for each chain, all in one batch, first as received, then under its own metadata. */
  check(packet: Uint8Array, chains: readonly (readonly ChainPart[])[]): void {
    const { u32, u8 } = this.#rig.arena;
    const { frames, keys, l3Offsets, l4Offsets, packetBytes } = this.#columns;
    const expected = this.#whole.extract(packet, IN_PORT);
    const { l3, l4 } = this.#whole.offsets;
    const laid = chains.map((chain) => this.#rig.lay(packet, chain));
    u32.set(laid, frames);
    assert.equal(this.#extractor.extract(laid.length, IN_PORT), laid.length);
    for (const pass of ["received", "again"]) {
      for (const [slot, chain] of chains.entries()) {
        const key = u8.slice(keys + slot * KEY_BYTES, keys + (slot + 1) * KEY_BYTES);
        const shape = `${pass}, in ${JSON.stringify(chain.map(({ dataBytes }) => dataBytes))}`;
        assert.deepEqual(differingFields(key, expected), [], shape);
        assert.deepEqual({ l3: u32[l3Offsets + slot], l4: u32[l4Offsets + slot] }, { l3, l4 }, shape);
        assert.equal(u32[packetBytes + slot], packet.length);
      }
      this.#extractor.extractAgain(laid.length);
    }
    for (const frame of laid) this.#rig.pool.freePacket(frame);
  }
}

/** Cut once among the headers; what lies behind fills as many frames as it takes. */
function cutAt(cut: number, packetBytes: number): ChainPart[] {
  const chain = [{ dataOffset: FRAME_HEADROOM_BYTES, dataBytes: cut }];
  const room = FRAME_BYTES - FRAME_HEADROOM_BYTES;
  for (let left = packetBytes - cut; left > 0; left -= chain.at(-1)!.dataBytes) {
    chain.push({ dataOffset: FRAME_HEADROOM_BYTES, dataBytes: Math.min(left, room) });
  }
  return chain;
}

/** Every cut among the headers, in as many batches as it takes. Returns how many. */
function checkEveryCut(rig: CutRig, packet: Uint8Array): number {
  const cuts = Math.min(packet.length - 1, CUT_MAX);
  for (let first = 1; first <= cuts; first += BATCH) {
    const chains: ChainPart[][] = [];
    for (let cut = first; cut < first + BATCH && cut <= cuts; cut += 1)
      chains.push(cutAt(cut, packet.length));
    rig.check(packet, chains);
  }
  return cuts;
}

const ETHERNET_BYTES = 14;
const extracted = hostileFrame.filter((frame) => frame.length > ETHERNET_BYTES);
/** The longest packets, and any length between. */
const longFrame = fc
  .tuple(extracted, fc.oneof(fc.constant(PACKET_BYTES_MAX), fc.integer({ min: 1500, max: PACKET_BYTES_MAX })))
  .map(([frame, bytes]) => {
    const packet = Uint8Array.from({ length: bytes }, (_, index) => index * 7);
    packet.set(frame);
    return packet;
  });

t.ok(BATCH <= BATCH_SIZE);

t.test("headers cut at every byte", (t) => {
  const rig = new CutRig();
  let cuts = 0;
  fc.assert(
    fc.property(extracted, (frame) => {
      cuts += checkEveryCut(rig, frame);
    }),
    runs(250),
  );
  t.ok(cuts > 5000, `${cuts} cuts`);
  t.end();
});

t.test("headers of packets of up to 9,022 bytes cut at every byte", (t) => {
  const rig = new CutRig();
  let cuts = 0;
  fc.assert(
    fc.property(longFrame, (packet) => {
      cuts += checkEveryCut(rig, packet);
    }),
    runs(40),
  );
  t.ok(cuts === 40 * CUT_MAX, `${cuts} cuts`);
  t.end();
});

t.test("packets of any length in parts of any length", (t) => {
  const rig = new CutRig();
  fc.assert(
    fc.property(fc.oneof(extracted, longFrame), (packet) =>
      rig.check(packet, [randomChain(packet.length, FRAME_BYTES, (limit) => random.below(limit))]),
    ),
    runs(500),
  );
  t.pass("500 packets");
  t.end();
});
