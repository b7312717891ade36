// Random action lists, as bytes, for packets of any kind: whether they fit the packet is part of the test.
import fc from "fast-check";
import { ACTION, CHECK_PKT_LEN, DEC_TTL, SAMPLE } from "../../src/action/attributes.ts";
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
  mpls: 4,
  dpHash: 4,
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

const label = fc.record({
  label: fc.constantFrom(3, 16, 0xfffff),
  tc: fc.nat(7),
  ttl: fc.nat(255),
  bos: fc.nat(1),
  type: fc.constantFrom("0x8847", "0x8848"),
});
export const labels = fc.oneof(
  fc.constantFrom("0x8847", "0x800", "0x86dd").map((type) => text(`pop_mpls(eth_type=${type})`)),
  label.map((of) =>
    text(`push_mpls(label=${of.label},tc=${of.tc},ttl=${of.ttl},bos=${of.bos},eth_type=${of.type})`),
  ),
);
export const hash = fc
  .tuple(fc.constantFrom("l4", "sym_l4"), fc.nat(3))
  .map(([algorithm, basis]) => text(`hash(${algorithm}(${basis}))`));
export const recirc = fc.integer({ min: 1, max: 9 }).map((id) => text(`recirc(${id})`));

const join = (parts: readonly Uint8Array[]): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => [...part]));

function joined(actions: readonly fc.Arbitrary<Uint8Array>[]): fc.Arbitrary<Uint8Array> {
  return fc.array(fc.oneof(...actions), { maxLength: 3 }).map(join);
}

/** Actions that hold lists of the given ones. Samples always draw or never: both worlds then draw alike. */
export function nested(...actions: fc.Arbitrary<Uint8Array>[]): fc.Arbitrary<Uint8Array> {
  const list = joined(actions);
  const holder = (type: number, fill: (writer: NlWriter) => void): Uint8Array => {
    const writer = new NlWriter();
    const at = writer.begin(type);
    fill(writer);
    writer.end(at);
    return writer.finish();
  };
  const u16 = (value: number): Uint8Array => Uint8Array.of(value & 0xff, value >>> 8);
  return fc.oneof(
    list.map((inner) => {
      const writer = new NlWriter();
      writer.put(ACTION.clone, inner);
      return writer.finish();
    }),
    fc.tuple(list, fc.constantFrom(0, 0xffffffff)).map(([inner, probability]) =>
      holder(ACTION.sample, (writer) => {
        writer.putU32(SAMPLE.probability, probability);
        writer.put(SAMPLE.actions, inner);
      }),
    ),
    fc.tuple(list, list, fc.integer({ min: 14, max: 120 })).map(([greater, lessEqual, bytes]) =>
      holder(ACTION.checkPktLen, (writer) => {
        writer.put(CHECK_PKT_LEN.pktLen, u16(bytes));
        writer.put(CHECK_PKT_LEN.actionsIfGreater, greater);
        writer.put(CHECK_PKT_LEN.actionsIfLessEqual, lessEqual);
      }),
    ),
    list.map((inner) => holder(ACTION.decTtl, (writer) => writer.put(DEC_TTL.action, inner))),
  );
}

/** Lists of these actions, with drop or recirc now and then at their end. */
export function listOf(...actions: fc.Arbitrary<Uint8Array>[]): fc.Arbitrary<Uint8Array> {
  const end = fc.constantFrom("", "", "", "drop", "recirc(5)").map(text);
  return fc
    .tuple(fc.array(fc.oneof(...actions), { maxLength: 6 }), end)
    .map(([parts, last]) => join([...parts, last]));
}
