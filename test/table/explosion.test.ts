// Tuple space explosion: frames made so that the flows which they cause have as many masks as possible. What a slow
// path does that un-wildcards a prefix as long as it needs is imitated: a packet whose address differs from the allowed
// one in bit n of each of three fields gets a flow that looks at n bits, 32 * 16 * 16 masks from as many packets. The
// number of masks is bounded, so is what the worst packet costs, and ordinary traffic keeps its mask in front.
import t from "tap";
import { KeyExtractor } from "../../src/flow/extract-key.ts";
import { newKey, setNumber } from "../../src/flow/key.ts";
import { BATCH } from "../../src/memory/batch-layout.ts";
import { formatIpv4 } from "../../src/packet/address.ts";
import { buildFrame } from "../../src/packet/builder.ts";
import { ethernet } from "../../src/packet/builder-link.ts";
import { ipv4 } from "../../src/packet/builder-network.ts";
import { udp } from "../../src/packet/builder-transport.ts";
import { TableReader } from "../../src/table/table-reader.ts";
import { tableStats } from "../../src/table/table-stats.ts";
import { createTable, fiveTuple, fiveTupleMask, outputTo, settle } from "./model.ts";

const MASKS_MAX = 128;
/** The stated worst cost of a packet: every mask probed once, whatever was sent before. */
const PROBES_MAX = MASKS_MAX;

interface Attack {
  readonly key: Uint8Array;
  readonly mask: Uint8Array;
}

const prefix = (bits: number, width: number): number =>
  bits === 0 ? 0 : Number((((1n << BigInt(bits)) - 1n) << BigInt(width - bits)) & 0xffffffffn);

const extractor = new KeyExtractor(1);

/** The key of one frame of the attack, and the mask of the megaflow that it would cause. */
function attack(addressBits: number, sourceBits: number, targetBits: number): Attack {
  // The allowed packet is all zeros; this one differs in the last bit that the flow looks at.
  const address = new Uint8Array(4);
  new DataView(address.buffer).setUint32(0, 2 ** (32 - addressBits));
  const ports = { src: 2 ** (16 - sourceBits), dst: 2 ** (16 - targetBits) };
  const frame = buildFrame([ethernet(), ipv4({ src: formatIpv4(address), dst: "0.0.0.0" }), udp(ports)]);
  const mask = newKey();
  setNumber(mask, "in_port", 0xffffffff);
  setNumber(mask, "eth_type", 0xffff);
  setNumber(mask, "nw_src", prefix(addressBits, 32));
  setNumber(mask, "tp_src", prefix(sourceBits, 16));
  setNumber(mask, "tp_dst", prefix(targetBits, 16));
  return { key: extractor.extract(frame, 1), mask };
}

function* packets(): Generator<Attack> {
  for (let address = 1; address <= 32; address += 1) {
    for (let source = 1; source <= 16; source += 1) {
      for (let target = 1; target <= 16; target += 1) yield attack(address, source, target);
    }
  }
}

t.test("masks, and with them the worst packet, are bounded", async (t) => {
  const test = createTable({ flowCountMax: 16384, maskCountMax: MASKS_MAX });
  const { arena, table } = test;
  const reader = new TableReader(arena, 0);
  const keyAt = arena.region("batches").offset + BATCH.spareKey;
  const probesOf = (key: Uint8Array): number => {
    const before = reader.probes;
    arena.u8.set(key, keyAt);
    reader.refresh();
    reader.lookup(keyAt);
    return reader.probes - before;
  };
  // Ordinary traffic has a flow and keeps using it.
  table.put({
    key: fiveTuple(1),
    mask: fiveTupleMask(),
    actions: outputTo(2),
    create: true,
    modify: false,
    operator: true,
    nowMillis: 0,
  });
  let refused = 0;
  let worst = 0;
  let sent = 0;
  for (const { key, mask } of packets()) {
    sent += 1;
    worst = Math.max(worst, probesOf(key));
    for (let ordinary = 0; ordinary < 4; ordinary += 1) probesOf(fiveTuple(1));
    const result = table.put({
      key,
      mask,
      actions: outputTo(1),
      create: true,
      modify: false,
      operator: false,
      nowMillis: 0,
    });
    if (result.error === "ENOSPC" && result.limit === "masks") refused += 1;
    else if (result.error !== null && result.error !== "EEXIST") return t.fail(`put: ${result.error}`);
  }
  t.equal(sent, 32 * 16 * 16);
  t.ok(refused > 0, `${refused} of ${sent} flows were refused for their mask`);
  t.equal(tableStats(arena).masks.length, MASKS_MAX, "no more masks than configured");
  t.ok(worst <= PROBES_MAX, `the worst packet probed ${worst} masks, ${PROBES_MAX} at the most`);
  table.sortSubtables();
  t.equal(probesOf(fiveTuple(1)), 1, "ordinary traffic is found in the first mask");
  table.flush();
  settle(test);
  table.sortSubtables();
  settle(test);
  t.equal(probesOf(fiveTuple(1)), 0, "after a flush nothing is probed any more");
});

t.test("a batch of the attack costs the same probes as its packets one by one", async (t) => {
  const { arena, table } = createTable({ flowCountMax: 1024, maskCountMax: MASKS_MAX });
  const attacks = [...packets()].filter((_, index) => index % 127 === 0).slice(0, 64);
  for (const { key, mask } of attacks) {
    table.put({
      key,
      mask,
      actions: outputTo(1),
      create: true,
      modify: false,
      operator: false,
      nowMillis: 0,
    });
  }
  const batch = arena.region("batches").offset;
  const one = new TableReader(arena, 0);
  const many = new TableReader(arena, 1);
  one.refresh();
  for (const [packet, { key }] of attacks.entries()) {
    arena.u8.set(key, batch + BATCH.keys + packet * 640);
    one.lookup(batch + BATCH.keys + packet * 640);
  }
  many.lookupBatch(batch, attacks.length);
  t.equal(many.probes, one.probes);
  t.equal(tableStats(arena).probes, one.probes * 2, "and the masks' counters say so");
});
