// What the table's tests share: a table in an arena of its own, a small world of keys and masks in which flows meet
// often, and a linear scan that says what the table must answer.
import fc from "fast-check";
import { type FieldName, K, KEY_BYTES } from "../../src/flow/fields.ts";
import { applyMask, newKey, setNumber, setOnes } from "../../src/flow/key.ts";
import { Arena } from "../../src/memory/arena.ts";
import { EpochWriter } from "../../src/memory/epoch.ts";
import { type ArenaSizes, DEFAULT_SIZES } from "../../src/memory/region-plan.ts";
import { setHashSeed } from "../../src/table/hash.ts";
import { TableWriter } from "../../src/table/table-writer.ts";
import { SEED } from "../support/seed.ts";

export const TABLE_SIZES: ArenaSizes = {
  ...DEFAULT_SIZES,
  workerCount: 2,
  frameCount: 64,
  flowCountMax: 256,
  maskCountMax: 16,
  portCountMax: 8,
  kernelRingBytes: 0,
  upcallRingBytes: 1 << 17,
};

export interface TestTable {
  readonly arena: Arena;
  readonly epochs: EpochWriter;
  readonly table: TableWriter;
}

export function createTable(
  sizes: Partial<ArenaSizes> = {},
  Writer: new (arena: Arena, epochs: EpochWriter) => TableWriter = TableWriter,
): TestTable {
  const arena = Arena.create({ ...TABLE_SIZES, ...sizes });
  setHashSeed(arena, SEED);
  const epochs = new EpochWriter(arena);
  epochs.initialise();
  return { arena, epochs, table: new Writer(arena, epochs) };
}

/** Runs background work until nothing waits; no reader may be online. */
export function settle({ table }: TestTable): void {
  while (table.step() || table.flushing || table.memory.deadFlows > 0) {
    // step() does it
  }
}

/** An output action for a port. */
export function outputTo(port: number): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 8, true);
  view.setUint16(2, 1, true);
  view.setUint32(4, port, true);
  return bytes;
}

export function ufidOf(number: number): Uint8Array {
  const ufid = new Uint8Array(16);
  new DataView(ufid.buffer).setUint32(12, number);
  return ufid;
}

/** Two values for each field: with eight fields most keys of a run share something. */
const WORLD: readonly FieldName[] = [
  "in_port",
  "eth_src",
  "eth_type",
  "nw_src",
  "tp_dst",
  "ipv6_dst",
  "nd_target",
  "tun_id",
];

export function keyOfBits(bits: number): Uint8Array {
  const key = newKey();
  for (const [index, name] of WORLD.entries()) {
    if (((bits >>> index) & 1) === 0) continue;
    // The last byte of the field, and its first one: so that both ends of a mask matter.
    key[K[name]] = 0x5a;
    key[K[name] + 1] = 0xa5;
  }
  return key;
}

export function maskOfBits(bits: number): Uint8Array {
  const mask = newKey();
  for (const [index, name] of WORLD.entries()) if (((bits >>> index) & 1) === 1) setOnes(mask, name);
  return mask;
}

export const keyBits = fc.nat(255);
/** Masks that run from nothing at all to more blocks than a record holds. */
export const maskBits = fc.constantFrom(0x00, 0x01, 0x05, 0x0d, 0x1f, 0x3f, 0xff, 0xf1, 0x81);

export interface ModelFlow {
  readonly key: Uint8Array;
  readonly mask: Uint8Array;
  readonly ufid: Uint8Array;
  actions: Uint8Array;
}

/** Flows in a list. */
export class LinearTable {
  readonly flows = new Map<number, ModelFlow>();

  matching(key: Uint8Array): number[] {
    return [...this.flows]
      .filter(([, flow]) => Buffer.compare(applyMask(key, flow.mask), applyMask(flow.key, flow.mask)) === 0)
      .map(([flowNo]) => flowNo);
  }

  byUfid(ufid: Uint8Array): number {
    for (const [flowNo, flow] of this.flows) if (Buffer.compare(flow.ufid, ufid) === 0) return flowNo;
    return 0;
  }
}

/** An IPv4 five-tuple that follows from a number. */
export function fiveTuple(n: number): Uint8Array {
  const key = new Uint8Array(KEY_BYTES);
  setNumber(key, "in_port", 1);
  setNumber(key, "eth_type", 0x0800);
  setNumber(key, "nw_proto", 17);
  setNumber(key, "nw_src", 0x0a000000 + (n & 0xffff));
  setNumber(key, "nw_dst", 0xc0a80000 + (n >>> 16));
  setNumber(key, "tp_src", n % 50000);
  return key;
}

export function fiveTupleMask(): Uint8Array {
  const mask = newKey();
  for (const name of ["in_port", "eth_type", "nw_proto", "nw_src", "nw_dst", "tp_src"] as const)
    setOnes(mask, name);
  return mask;
}
