// Random matches through every representation and back: struct, attributes, text. And hostile attributes and text, which
// may be refused and nothing else.

import fc from "fast-check";
import t from "tap";
import { FIELDS } from "../../../src/flow/fields.ts";
import { equalUnder, keysEqual } from "../../../src/flow/key.ts";
import { NLA_HEADER_BYTES } from "../../../src/flow/nlattr.ts";
import { FlowKeyError } from "../../../src/flow/odp/fit.ts";
import { formatFlow } from "../../../src/flow/odp/format-key.ts";
import { attributesFromKey } from "../../../src/flow/odp/from-key.ts";
import { formatMatch, matchFromAttributes, parseMatch } from "../../../src/flow/odp/match.ts";
import { parseFlowText } from "../../../src/flow/odp/parse-key.ts";
import { OdpSyntaxError } from "../../../src/flow/odp/text-cursor.ts";
import { keyFromAttributes, maskFromAttributes } from "../../../src/flow/odp/to-key.ts";
import { runs } from "../../support/seed.ts";
import { randomMatch } from "../random-match.ts";

const VLAN_LIMIT = 2;
/** Bytes of vlan_tpid. */
const FIELDS_OF_TAG: ReadonlySet<number> = new Set(
  FIELDS.filter(({ name }) => name === "vlan_tpid").flatMap(({ offset }) => [offset, offset + 1]),
);

/** Names the fields in which two keys differ. */
function differences(left: Uint8Array, right: Uint8Array): string[] {
  return FIELDS.filter(({ offset, bytes }) =>
    left.subarray(offset, offset + bytes).some((byte, index) => byte !== right[offset + index]),
  ).map(({ name }) => name);
}

t.test("struct to attributes and back is the same key and mask", async () => {
  fc.assert(
    fc.property(randomMatch, (match) => {
      const flow = attributesFromKey(match.key, match.mask, { vlanLimit: VLAN_LIMIT });
      const key = keyFromAttributes(flow.key, { vlanLimit: VLAN_LIMIT });
      if (key.fit !== "perfect") throw new Error(`key: ${JSON.stringify(key.problem)}`);
      const mask = maskFromAttributes(flow.mask, key.key, { vlanLimit: VLAN_LIMIT });
      if (mask.fit !== "perfect") throw new Error(`mask: ${JSON.stringify(mask.problem)}`);
      if (!keysEqual(key.key, match.key)) throw new Error(`key: ${differences(key.key, match.key)}`);
      const expected = withTagAbsence(match.mask, mask.key);
      if (!keysEqual(mask.key, expected)) throw new Error(`mask: ${differences(mask.key, expected)}`);
    }),
    runs(2000),
  );
});

/** A mask that comes back without a tag looks at TPID and TCI, for that is how attributes say "no tag". */
function withTagAbsence(mask: Uint8Array, read: Uint8Array): Uint8Array {
  return mask.map((byte, at) => (FIELDS_OF_TAG.has(at) ? read[at]! : byte));
}

t.test("what is printed reads back as the same match, short and verbose", async () => {
  fc.assert(
    fc.property(randomMatch, fc.boolean(), (match, verbose) => {
      const text = formatMatch(match, { verbose, vlanLimit: VLAN_LIMIT });
      const read = parseMatch(text, { vlanLimit: VLAN_LIMIT });
      const expected = withTagAbsence(match.mask, read.mask);
      if (!keysEqual(read.mask, expected))
        throw new Error(`${text}: mask ${differences(read.mask, expected)}`);
      if (!equalUnder(read.key, match.key, match.mask)) {
        throw new Error(`${text}: key ${differences(read.key, match.key)}`);
      }
      const again = formatMatch(read, { verbose, vlanLimit: VLAN_LIMIT });
      if (!verbose && again !== text) throw new Error(`${text} prints ${again}`);
    }),
    runs(2000),
  );
});

/** Attributes of a real flow with bytes changed, cut off or put in. */
const damaged = fc
  .tuple(randomMatch, fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 6 }), fc.nat(400))
  .map(([match, changes, cut]) => {
    const { key, mask } = attributesFromKey(match.key, match.mask, { vlanLimit: VLAN_LIMIT });
    const bytes = cut % 3 === 0 ? key.slice(0, cut) : key.slice();
    for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte;
    return { key: bytes, mask };
  });

t.test("hostile attributes are refused with a place, or make a key that prints", async () => {
  const anyBytes = fc.record({
    key: fc.uint8Array({ maxLength: 80 }),
    mask: fc.uint8Array({ maxLength: 80 }),
  });
  fc.assert(
    fc.property(fc.oneof(damaged, anyBytes), ({ key, mask }) => {
      const text = formatFlow(key, mask, { verbose: true });
      if (text === "") throw new Error("printed nothing");
      try {
        formatMatch(matchFromAttributes(key, mask, VLAN_LIMIT));
      } catch (error) {
        if (!(error instanceof FlowKeyError)) throw error;
        const { byteOffset, what } = error.problem;
        const bytes = what === "key" ? key.length : mask.length;
        if (byteOffset > bytes + NLA_HEADER_BYTES) throw new Error(`offset ${byteOffset} of ${bytes}`);
      }
    }),
    runs(3000),
  );
});

const FRAGMENTS = [
  "in_port(1)",
  "eth(",
  "eth_type(0x0800)",
  ",",
  ")",
  "encap(",
  "tunnel(",
  "geneve({class=0,type=0,len=4,0xa/0xff}",
  "flags(+df-csum+key)",
  "mpls(label=1,tc=2,ttl=3,bos=1",
  "ct_state(+new-est)",
  "ct_label(0x1234/0xffffffffffffffffffffffffffffffffff)",
  "ipv4(src=1.2.3.4/255.0.0.0,frag=later",
  "ufid:",
  "nsh(c1=",
  "/",
  "=",
  "\u0000",
  "99999999999999999999999",
  "-1",
] as const;

t.test("hostile text is refused with a column, or parses", async () => {
  const pieces = fc.array(fc.oneof(fc.constantFrom(...FRAGMENTS), fc.string({ maxLength: 8 })), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(pieces, (parts) => {
      const text = parts.join("");
      try {
        parseFlowText(text);
      } catch (error) {
        if (!(error instanceof OdpSyntaxError)) throw error;
        if (error.column < 1 || error.column > text.length + 1) throw new Error(`column ${error.column}`);
        if (!text.endsWith(error.rest)) throw new Error(`rest ${error.rest}`);
      }
    }),
    runs(3000),
  );
});

t.test("a text of very many levels is refused, not followed", async (t) => {
  t.throws(() => parseFlowText("encap(".repeat(100_000)), OdpSyntaxError);
});

t.test("a text of more attributes than a flow can have is refused", async (t) => {
  t.throws(() => parseFlowText("ct_label(1),".repeat(4000)), /at most 65531 bytes/);
});
