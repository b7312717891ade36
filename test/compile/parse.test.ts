// The compiled parse against the reference extractor: valid, hostile and truncated packets at every alignment, cut at every
// length and between frames, in slots that held other keys before.
import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { BATCH_SIZE } from "../../src/memory/batch-layout.ts";
import { FRAME_HEADROOM_BYTES } from "../../src/memory/frame-layout.ts";
import { buildFrame, type Layer } from "../../src/packet/builder.ts";
import { ethernet, vlan } from "../../src/packet/builder-link.ts";
import { ipv4 } from "../../src/packet/builder-network.ts";
import { icmp, tcp, udp } from "../../src/packet/builder-transport.ts";
import { randomChain } from "../action/rig.ts";
import { hostileFrame } from "../flow/hostile-frames.ts";
import { anyFrame, validFrame } from "../support/frames.ts";
import { SeededRandom } from "../support/random.ts";
import { runs, SEED } from "../support/seed.ts";
import { type LaidPacket, ParseRig } from "./parse-rig.ts";

const VLAN_LIMITS = [0, 1, 2] as const;
/** Frames of a burst that fit the rig's 256 when each packet is cut into many. */
const CUT_BURST = 8;
const random = new SeededRandom(SEED);

const laid = (frame: fc.Arbitrary<Uint8Array>): fc.Arbitrary<LaidPacket> =>
  fc.tuple(frame, fc.integer({ min: 0, max: 3 })).map(([bytes, alignment]) => ({
    bytes,
    chain: [{ dataOffset: FRAME_HEADROOM_BYTES - 2 + alignment, dataBytes: bytes.length }],
  }));
const fits = ({ length }: Uint8Array): boolean => length > 0 && length < 1700;
const frames = fc.oneof(hostileFrame, anyFrame(), validFrame()).filter(fits);

for (const vlanLimit of VLAN_LIMITS) {
  t.test(`bursts of any packets under vlan-limit ${vlanLimit}`, async (t) => {
    const rig = new ParseRig(vlanLimit);
    fc.assert(
      fc.property(
        fc.array(laid(frames), { maxLength: BATCH_SIZE, size: "max" }),
        fc.option(fc.uint8Array({ minLength: 7, maxLength: 7 })),
        (burst, soil) => {
          if (soil !== null) rig.soil(soil);
          rig.check(burst);
        },
      ),
      runs(150),
    );
    t.pass("150 bursts");
  });
}

const PLAIN_STACKS: readonly Layer[][] = [
  [ethernet(), ipv4({ tos: 0xb9, ttl: 3 }), tcp({ src: 0x1234, dst: 0x5678, flags: 0x1ff })],
  [ethernet(), ipv4({ tos: 0xb9, ttl: 3 }), udp({ src: 0x1234, dst: 0x5678 })],
  [ethernet(), ipv4({}), icmp({ type: 8, code: 3 })],
  [ethernet(), vlan({ vid: 0xabc, dei: false }), ipv4({}), tcp({ flags: 0xeff })],
  [ethernet(), vlan({ vid: 0xabc, dei: true, pcp: 5 }), ipv4({}), udp({})],
];

t.test("what the templates are for is left to nobody", async (t) => {
  const rig = new ParseRig(1);
  const burst = PLAIN_STACKS.map((layers) => ({ bytes: buildFrame(layers, new Uint8Array(18)) }));
  t.strictSame(rig.check(burst), []);
});

t.test("cut off at every length", async (t) => {
  const rig = new ParseRig(2);
  const cutAll = (bytes: Uint8Array): void => {
    for (let cut = 1; cut <= bytes.length; cut += BATCH_SIZE)
      rig.check(
        Array.from({ length: Math.min(BATCH_SIZE, bytes.length + 1 - cut) }, (_, index) => ({
          bytes: bytes.subarray(0, cut + index),
        })),
      );
  };
  for (const layers of PLAIN_STACKS) cutAll(buildFrame(layers, new Uint8Array(18)));
  fc.assert(fc.property(frames, cutAll), runs(60));
  t.pass("60 packets");
});

t.test("in frames cut at any byte", async (t) => {
  const rig = new ParseRig(2);
  let left = 0;
  fc.assert(
    fc.property(fc.array(frames, { maxLength: CUT_BURST }), (packets) => {
      const burst = packets.map((bytes) => ({
        bytes,
        chain: randomChain(bytes.length, 2048, (limit) => random.below(limit)),
      }));
      left += rig.check(burst.filter(({ chain }) => chain.length < 30)).length;
    }),
    runs(300),
  );
  t.ok(left > 0, "headers in a second frame are left");
});

t.test("no packets", async () => {
  assert.deepEqual(new ParseRig(1).check([]), []);
});
