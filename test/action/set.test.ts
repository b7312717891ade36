// set and set_masked: each against a slow implementation that computes checksums anew, on frames with every
// stack of headers, right and wrong checksums, in one frame and in chains.
import fc from "fast-check";
import t from "tap";
import { ACTION } from "../../src/action/attributes.ts";
import { NlWriter } from "../../src/flow/nlattr.ts";
import { KEY_ATTR } from "../../src/flow/odp/attributes.ts";
import { PACKET_BYTES_MAX } from "../../src/memory/frame-layout.ts";
import { buildFrame, padFrame } from "../../src/packet/builder.ts";
import { bytesToHex, hexToBytes, readBe16 } from "../../src/packet/bytes.ts";
import { ETH_TYPE } from "../../src/packet/link-headers.ts";
import { frameLayers } from "../support/frames.ts";
import { SeededRandom } from "../support/random.ts";
import { runs, SEED } from "../support/seed.ts";
import { ActionRig, randomChain } from "./rig.ts";
import { isExpected, layoutOf, type SetField, slowSet } from "./slow-set.ts";

const STRUCT_BYTES: Readonly<Record<SetField["kind"], number>> = {
  ethernet: 12,
  ipv4: 12,
  ipv6: 40,
  tcp: 4,
  udp: 4,
  sctp: 4,
};

/**
 * Masks are made of whole ones, zeros and anything; values of few bytes, so that fields often keep their
 * value.
 */
const maskByte = fc.oneof(fc.constantFrom(0, 0, 0xff, 0xff), fc.integer({ min: 0, max: 255 }));
const valueByte = fc.oneof(fc.constantFrom(0, 1, 10, 0xff), fc.integer({ min: 0, max: 255 }));

function setField(kind: SetField["kind"]): fc.Arbitrary<SetField & { isMasked: boolean }> {
  const count = STRUCT_BYTES[kind];
  return fc
    .record({
      isMasked: fc.boolean(),
      mask: fc.uint8Array({ minLength: count, maxLength: count }).chain(() => bytesOf(maskByte, count)),
      value: bytesOf(valueByte, count),
    })
    .map(({ isMasked, mask, value }) => {
      const used = isMasked ? mask : mask.fill(0xff);
      // A label has 20 bits.
      if (kind === "ipv6") value[32] = used[32] = 0;
      if (kind === "ipv6") value[33]! &= 0x0f;
      if (kind === "ipv6") used[33]! &= 0x0f;
      return { kind, isMasked, mask: used, value: value.map((byte, index) => byte & used[index]!) };
    });
}

function bytesOf(byte: fc.Arbitrary<number>, count: number): fc.Arbitrary<Uint8Array> {
  return fc.array(byte, { minLength: count, maxLength: count }).map((bytes) => Uint8Array.from(bytes));
}

function actionsFor(set: SetField & { isMasked: boolean }): Uint8Array {
  const writer = new NlWriter();
  const action = writer.begin(set.isMasked ? ACTION.setMasked : ACTION.set);
  writer.put(KEY_ATTR[set.kind], set.isMasked ? Uint8Array.from([...set.value, ...set.mask]) : set.value);
  writer.end(action);
  writer.putU32(ACTION.output, 2);
  return writer.finish();
}

const KINDS_BY_VERSION = {
  4: ["ethernet", "ipv4", "ipv4", "tcp", "udp", "sctp"],
  6: ["ethernet", "ipv6", "ipv6", "tcp", "udp", "sctp"],
} as const;

/** @param padTo lengths that the frame is padded to behind what its headers count */
const frameAndSet = (payload: fc.Arbitrary<Uint8Array>, padTo: readonly number[]) =>
  fc
    .tuple(
      frameLayers({ vlansMax: 2 }),
      payload,
      fc.constantFrom(...padTo),
      fc.constantFrom(0, 0, 0, 1, 0x8000, 0xffff),
    )
    .map(([layers, bytes, byteCount, corruption]) => {
      const frame = padFrame(buildFrame(layers, bytes), byteCount);
      return { frame, layout: layoutOf(layers, frame), corruption };
    })
    .filter(
      ({ layout, frame }) => layout !== undefined && isPlainLink(frame) && frame.length <= PACKET_BYTES_MAX,
    )
    .chain((built) =>
      fc
        .constantFrom(...KINDS_BY_VERSION[built.layout!.isV6 ? 6 : 4])
        .chain((kind) => setField(kind))
        .map((set) => ({ ...built, layout: built.layout!, set })),
    );

/**
 * Up to what an MTU of 9,000 leaves behind the longest headers that are made here, often near the end. Over 0x806
 * bytes, so that no 802.2 length looks like a type (isPlainLink).
 */
const longPayload = fc
  .tuple(fc.oneof(fc.integer({ min: 2100, max: 8990 }), fc.integer({ min: 8700, max: 8990 })), fc.nat(255))
  .map(([bytes, seed]) => Uint8Array.from({ length: bytes }, (_, index) => index * seed + (index >>> 8)));

type Built = ReturnType<typeof frameAndSet> extends fc.Arbitrary<infer Value> ? Value : never;

const PLAIN_TYPES: ReadonlySet<number> = new Set(Object.values(ETH_TYPE));

/**
 * 802.2 frames are no IP to the key unless SNAP is in order; the other tests of extraction see to those. Where a type
 * would stand they have a length, which is no type that frames are made with.
 */
function isPlainLink(frame: Uint8Array): boolean {
  return PLAIN_TYPES.has(readBe16(frame, 12));
}

function corrupt(frame: Uint8Array, l4: number, protocol: number, corruption: number): void {
  const field = { 6: 16, 17: 6, 58: 2, 132: 8 }[protocol];
  if (corruption === 0 || field === undefined || l4 + field + 2 > frame.length) return;
  frame[l4 + field]! ^= corruption >>> 8;
  frame[l4 + field + 1]! ^= corruption & 0xff;
}

const random = new SeededRandom(SEED);
const below = (limit: number): number => random.below(limit);

/** Returns whether set changed the frame. */
function checkSet(rig: ActionRig, { frame, layout, corruption, set }: Built): boolean {
  const input = frame.slice();
  corrupt(input, layout.l4, layout.protocol, corruption);
  const expected = slowSet(input, layout, set);
  const [fate] = rig.run(input, actionsFor(set));
  if (fate?.kind !== "output") throw new Error(`fate ${JSON.stringify(fate)}`);
  const found = hexToBytes(fate.hex);
  if (!isExpected(found, expected)) {
    throw new Error(
      `in       ${bytesToHex(input)}\nexpected ${bytesToHex(expected.frame)}\nfound    ${fate.hex}`,
    );
  }
  const [chained] = rig.run(input, actionsFor(set), randomChain(input.length, 2048, below));
  if (JSON.stringify(chained) !== JSON.stringify(fate)) throw new Error(`chain: ${JSON.stringify(chained)}`);
  return found.some((byte, index) => byte !== input[index]);
}

t.test("set equals the slow implementation, in one frame and in chains", (t) => {
  const rig = new ActionRig(2);
  let changed = 0;
  fc.assert(
    fc.property(frameAndSet(fc.uint8Array({ maxLength: 90 }), [0, 60, 120]), (built) => {
      if (checkSet(rig, built)) changed += 1;
    }),
    runs(4000),
  );
  t.ok(changed > 1000, `${changed} of 4000 frames were changed`);
  t.end();
});

t.test("set on frames of up to 9,022 bytes, which always come as chains", (t) => {
  const rig = new ActionRig(2);
  let changed = 0;
  let longest = 0;
  fc.assert(
    fc.property(frameAndSet(longPayload, [0, 0, 0, PACKET_BYTES_MAX]), (built) => {
      if (checkSet(rig, built)) changed += 1;
      longest = Math.max(longest, built.frame.length);
    }),
    runs(400),
  );
  t.ok(changed > 100, `${changed} of 400 frames were changed`);
  t.equal(longest, PACKET_BYTES_MAX);
  t.end();
});
