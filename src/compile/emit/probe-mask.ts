// The probe of one mask: its words are constants, so the hash is a straight line over the words that have bits, and the
// compare is one vector of 16 bytes for each block that has. Beside table/batch-probe.ts.
import { KEY_BLOCK_BYTES, KEY_BYTES } from "../../flow/fields.ts";
import { KEY_UNIT_BYTES } from "../../table/flow-store.ts";
import { FLOW, INLINE_BLOCKS } from "../../table/layout.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import type { I32, Statement, V128 } from "../ops/expression.ts";
import type { Local } from "../ops/function.ts";
import { i32Memory, v128Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import { v128 } from "../ops/vector.ts";
import { emitProbe, recordOffset } from "./probe-parts.ts";
import type { TableScope } from "./table-scope.ts";

export interface MaskWord {
  /** Byte offset in the key. */
  readonly offset: number;
  readonly bits: number;
}

interface MaskBlock {
  /** Byte offset in the key. */
  readonly offset: number;
  readonly bits: Uint8Array;
}

/** The words that have bits, ascending: what the table's writer hashes. @param mask KEY_BYTES of them */
export function maskWords(mask: Uint8Array): readonly MaskWord[] {
  const view = new DataView(mask.buffer, mask.byteOffset, KEY_BYTES);
  const words: MaskWord[] = [];
  for (let offset = 0; offset < KEY_BYTES; offset += 4) {
    const bits = view.getInt32(offset, true);
    if (bits !== 0) words.push({ offset, bits });
  }
  return words;
}

/** The blocks that have bits, ascending: what a flow stores of its key. */
export function maskBlocks(mask: Uint8Array): readonly MaskBlock[] {
  const blocks: MaskBlock[] = [];
  for (let offset = 0; offset < KEY_BYTES; offset += KEY_BLOCK_BYTES) {
    const bits = mask.subarray(offset, offset + KEY_BLOCK_BYTES);
    if (bits.some((byte) => byte !== 0)) blocks.push({ offset, bits });
  }
  return blocks;
}

/** probe(batch, subtable, left) -> packets that stay pending. @param chain follows chains (probe-general.ts) */
export function emitMaskProbe(
  table: TableScope,
  name: string,
  mask: Uint8Array,
  chain: FunctionEntry,
): FunctionEntry {
  const words = maskWords(mask);
  const blocks = maskBlocks(mask);
  return emitProbe(table, name, {
    chain,
    hashKey: (_locals, _subtable, key, hash) => [hash.set(hashWords(table, words, key.get))],
    compare: (locals, { key, candidate, differs }) =>
      compareBlocks(table, blocks, key, candidate, locals.i32("stored"), differs),
  });
}

/** The hash of a key's words under their bits, unfinished. */
export const hashWords = (table: TableScope, words: readonly MaskWord[], key: I32): I32 =>
  words.reduce(
    (hash, { offset, bits }) => table.hashStep(hash, i32.and(i32Memory.load(key, offset), i32.const(bits))),
    i32.const(table.hashStart),
  );

function compareBlocks(
  table: TableScope,
  blocks: readonly MaskBlock[],
  key: Local<"i32">,
  candidate: Local<"i32">,
  stored: Local<"i32">,
  differs: Local<"i32">,
): readonly Statement[] {
  if (blocks.length === 0) return [differs.set(i32.const(0))];
  const isInline = blocks.length <= INLINE_BLOCKS;
  const longKey = i32Memory.load(recordOffset(candidate.get), table.flows + FLOW.longKey * 4);
  const base = isInline ? table.flows + FLOW.key * 4 : table.flowKeys;
  const difference = blocks
    .map(({ offset, bits }, index): V128 => {
      const bytes = v128Memory.load(stored.get, base + index * KEY_BLOCK_BYTES);
      const xor = v128.xor(v128Memory.load(key.get, offset), bytes);
      return bits.every((byte) => byte === 0xff) ? xor : v128.and(xor, v128.const(bits));
    })
    .reduce((all, one) => v128.or(all, one));
  return [
    stored.set(isInline ? recordOffset(candidate.get) : i32.mul(longKey, i32.const(KEY_UNIT_BYTES))),
    differs.set(v128.any_true(difference)),
  ];
}
