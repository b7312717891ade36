// Random action lists, as bytes, for packets of any kind: whether they fit the packet is part of the test.
import fc from "fast-check";
import { ACTION } from "../../src/action/attributes.ts";
import { parseActions } from "../../src/action/odp/parse-actions.ts";
import { NlWriter } from "../../src/flow/nlattr.ts";
import { KEY_ATTR } from "../../src/flow/odp/attributes.ts";

const FIELD_BYTES = {
  ethernet: 12,
  ipv4: 12,
  ipv6: 40,
  tcp: 4,
  udp: 4,
  sctp: 4,
  icmp: 2,
  icmpv6: 2,
  arp: 24,
  priority: 4,
  skbMark: 4,
} as const;
export type SetName = keyof typeof FIELD_BYTES;

const maskByte = fc.oneof(fc.constantFrom(0, 0, 0xff, 0xff), fc.nat(255));
/** Few values, so that fields often keep theirs. */
const valueByte = fc.oneof(fc.constantFrom(0, 1, 10, 64, 0xff), fc.nat(255));

function bytesOf(byte: fc.Arbitrary<number>, count: number): fc.Arbitrary<Uint8Array> {
  return fc.array(byte, { minLength: count, maxLength: count }).map((bytes) => Uint8Array.from(bytes));
}

/** A set of one header, masked or not, as validation lets it pass: no value outside its mask, no label of 20 bits or more. */
export function setAction(name: SetName): fc.Arbitrary<Uint8Array> {
  const count = FIELD_BYTES[name];
  return fc
    .record({ isMasked: fc.boolean(), mask: bytesOf(maskByte, count), value: bytesOf(valueByte, count) })
    .map(({ isMasked, mask, value }) => {
      const used = isMasked ? mask : new Uint8Array(count).fill(0xff);
      if (name === "ipv6") {
        used[32] = 0;
        used[33]! &= 0x0f;
      }
      const cut = value.map((byte, index) => byte & used[index]!);
      const writer = new NlWriter();
      const action = writer.begin(isMasked ? ACTION.setMasked : ACTION.set);
      writer.put(KEY_ATTR[name], isMasked ? Uint8Array.from([...cut, ...used]) : cut);
      writer.end(action);
      return writer.finish();
    });
}

const text = (line: string): Uint8Array => parseActions(line);

export const output = fc.integer({ min: 1, max: 6 }).map((portNo) => text(String(portNo)));
export const anySet = fc.constantFrom(...(Object.keys(FIELD_BYTES) as SetName[])).chain(setAction);
export const tag = fc.oneof(
  fc.constant(text("pop_vlan")),
  fc
    .record({
      vid: fc.nat(4095),
      pcp: fc.nat(7),
      tpid: fc.constantFrom("0x8100", "0x88a8"),
    })
    .map(({ vid, pcp, tpid }) => text(`push_vlan(tpid=${tpid},vid=${vid},pcp=${pcp})`)),
);
export const trunc = fc.integer({ min: 14, max: 200 }).map((bytes) => text(`trunc(${bytes})`));

const join = (parts: readonly Uint8Array[]): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => [...part]));

/** Lists of these actions, with drop now and then at their end. */
export function listOf(...actions: fc.Arbitrary<Uint8Array>[]): fc.Arbitrary<Uint8Array> {
  return fc
    .tuple(fc.array(fc.oneof(...actions), { maxLength: 6 }), fc.constantFrom("", "", "", "drop"))
    .map(([parts, end]) => join([...parts, text(end)]));
}
