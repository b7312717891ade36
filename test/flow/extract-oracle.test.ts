// Extraction against the keys that the real Open vSwitch printed in its miss upcalls: the corpus beside the
// repository, the recorded rows in it, and random frames asked of a live daemon. What the daemon never prints, the
// neighbour discovery extensions, is asked by flows: a flow that matches exactly what we extracted must be hit.

import fc from "fast-check";
import t from "tap";
import { vlanTagCount } from "../../src/flow/extract.ts";
import { KeyExtractor } from "../../src/flow/extract-key.ts";
import { K } from "../../src/flow/fields.ts";
import { formatPacketKey } from "../../src/flow/odp/format-packet.ts";
import { bytesToHex, hexToBytes, readBe16, readBe32 } from "../../src/packet/bytes.ts";
import { corporaSkipReason, type ExtractRow, readCorpusRows, readOracleRows } from "../support/corpora.ts";
import { anyFrame } from "../support/frames.ts";
import { Oracle, oracleSkipReason } from "../support/oracle.ts";
import { askKeys, METADATA_TEXT, RECORDED_IN_PORT, type RecordedExtract } from "../support/oracle-rows.ts";
import { SEED } from "../support/seed.ts";
import { hostileFrame } from "./hostile-frames.ts";

/** How OVS prints a label stack without a label; we print an empty one. */
const OVS_EMPTY_MPLS = "mpls((bad key length 0)";
/** How OVS prints ARP opcode 255, which it takes for the all-ones of a mask. */
const OVS_ARP_OPCODE_255 = "op=65535,";
/** netdev-dummy/receive takes Ethernet frames; long ones only make the command long. */
const FRAME_BYTES_MIN = 14;
const FRAME_BYTES_MAX = 1500;
const LIVE_FRAMES = 300;
const ND_FRAMES = 60;
const ETH_TYPE_IPV6 = 0x86dd;
const DIFFERENCES_SHOWN = 5;

/** Our text of a packet's key without metadata, as askKeys and the recorded rows have it. */
function ourText(extractor: KeyExtractor, hex: string, vlanLimit: number): string {
  const text = formatPacketKey(extractor.extract(hexToBytes(hex), RECORDED_IN_PORT), vlanTagCount(vlanLimit));
  return text.replace(`in_port(${RECORDED_IN_PORT}),`, "");
}

const oracleText = (key: string): string =>
  key.replace(METADATA_TEXT, "").replace(OVS_EMPTY_MPLS, "mpls()").replace(OVS_ARP_OPCODE_255, "op=255,");

interface Answer {
  readonly hex: string;
  readonly key: string;
}

function differences(answers: readonly Answer[], vlanLimit: number): object[] {
  const extractor = new KeyExtractor(vlanLimit);
  return answers
    .map(({ hex, key }) => ({ hex, ovs: oracleText(key), ours: ourText(extractor, hex, vlanLimit) }))
    .filter(({ ovs, ours }) => ovs !== ours)
    .slice(0, DIFFERENCES_SHOWN);
}

t.test("all rows of the corpus", { skip: corporaSkipReason() }, async (t) => {
  const rows = readCorpusRows<ExtractRow>("extract/odp-extract-ovs3.1.jsonl")!;
  const answers = rows.map(({ hex, odp_key }) => ({ hex, key: odp_key }));
  t.strictSame(differences(answers, 1), [], `${rows.length} rows`);
  t.equal(rows.length, 1750);
});

t.test("the recorded rows", async (t) => {
  const rows = readOracleRows<RecordedExtract>("extract.jsonl");
  for (const vlanLimit of [1, 2]) {
    const answers = rows.filter((row) => row.vlanLimit === vlanLimit);
    t.strictSame(differences(answers, vlanLimit), [], `${answers.length} rows under vlan-limit ${vlanLimit}`);
    t.ok(answers.length > 0);
  }
});

function drawFrames(seed: number): string[] {
  const frames = fc.sample(fc.oneof(hostileFrame, anyFrame()), { seed, numRuns: LIVE_FRAMES });
  return frames
    .filter(({ length }) => length >= FRAME_BYTES_MIN && length <= FRAME_BYTES_MAX)
    .map((frame) => bytesToHex(frame));
}

for (const vlanLimit of [0, 1, 2]) {
  t.test(`random frames under vlan-limit ${vlanLimit}`, { skip: oracleSkipReason() }, async (t) => {
    const oracle = await Oracle.start({ vlanLimit });
    t.teardown(() => oracle.stop());
    const frames = drawFrames(SEED + vlanLimit);
    const keys = await askKeys(oracle, frames);
    const answers = frames.map((hex, index) => ({ hex, key: keys[index]! }));
    t.strictSame(differences(answers, vlanLimit), [], `${frames.length} frames`);
  });
}

/** A flow that is hit by frames of this key's reserved word and first option only. */
function flowOnExtensions(key: Uint8Array): string {
  const frag = ["no", "first"][key[K.nw_frag]!]!;
  const reserved = readBe32(key, K.nd_reserved).toString(16);
  return (
    `recirc_id(0),in_port(${RECORDED_IN_PORT}),packet_type(ns=0,id=0),eth(),eth_type(0x86dd),` +
    `ipv6(proto=58,frag=${frag}),icmpv6(type=${readBe16(key, K.tp_src)},code=0),nd(target=::/::),` +
    `nd_ext(nd_reserved=0x${reserved},nd_options_type=${key[K.nd_options_type]})`
  );
}

t.test("neighbour discovery extensions hit the flow on them", { skip: oracleSkipReason() }, async (t) => {
  const oracle = await Oracle.start();
  t.teardown(() => oracle.stop());
  const extractor = new KeyExtractor(1);
  const withExtensions = hostileFrame.filter((frame) => {
    if (frame.length < FRAME_BYTES_MIN || frame.length > FRAME_BYTES_MAX) return false;
    const key = extractor.extract(frame, RECORDED_IN_PORT);
    if (readBe16(key, K.eth_type) !== ETH_TYPE_IPV6 || readBe16(key, K.vlan_tci) !== 0) return false;
    return readBe32(key, K.nd_reserved) !== 0 || key[K.nd_options_type] !== 0;
  });
  const missed: object[] = [];
  for (const frame of fc.sample(withExtensions, { seed: SEED, numRuns: ND_FRAMES })) {
    const flow = flowOnExtensions(extractor.extract(frame, RECORDED_IN_PORT));
    await oracle.delFlows();
    const { code, text } = await oracle.addFlow(flow, "2");
    t.equal(code, 0, text);
    await oracle.receive(RECORDED_IN_PORT, bytesToHex(frame));
    if (oracle.outputs().get(2) === undefined) missed.push({ frame: bytesToHex(frame), flow });
  }
  t.strictSame(missed.slice(0, DIFFERENCES_SHOWN), [], `${ND_FRAMES} frames`);
});
