// The cache in front of the subtables: the flow that a packet like this one hit before. It serves tables of several masks,
// where one look into it is cheaper than a probe of each.
//
// Packets are alike when they agree in every bit that any mask looks at, so the hash covers the union of all masks and the
// packet's TTL, say, plays no part unless a mask has it. An entry is believed only after the flow's own masked key was
// compared, so a wrong signature costs a compare and no more. That the flow is still the first to match is what the epoch
// is for: it changes whenever a flow or a list of subtables was published since, and with it all entries are void. Removed
// flows need no epoch: their state says so, and a number is given to another flow only after a grace period, when the
// state of the new one covers its key.
//
// Memory: this thread's flowCaches, sets of four entries in a line: signatures, flows, epochs. Counter: cache_hit.
import { KEY_BLOCK_BYTES } from "../../flow/fields.ts";
import { BATCH, BATCH_SIZE } from "../../memory/batch-layout.ts";
import { ENGINE, FLOW_CACHE_SET, FLOW_CACHE_SET_BYTES, FLOW_CACHE_SETS } from "../../memory/engine-layout.ts";
import { SUBTABLE_BYTES } from "../../memory/region-plan.ts";
import { KEY_UNIT_BYTES } from "../../table/flow-store.ts";
import { FLOW, FLOW_STATE, INLINE_BLOCKS, ROOT, SUBTABLE } from "../../table/layout.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import { block, br, brIf, call, ifElse, loop, ret } from "../ops/control.ts";
import type { I32, Statement, V128 } from "../ops/expression.ts";
import { emitFunction, type Local, type Locals } from "../ops/function.ts";
import { i32Memory, v128Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import { i32x4, v128 } from "../ops/vector.ts";
import { hashWords, type MaskWord, maskWords } from "./probe-mask.ts";
import { forPositions, keyAddress, type PassLocals, PROBE, recordOffset } from "./probe-parts.ts";
import type { TableScope } from "./table-scope.ts";

type LocalI32 = Local<"i32">;

/** Columns behind those of the probes, which are written anew for each subtable. */
const CACHE = { pending: BATCH.probe + BATCH_SIZE * 12, hashes: BATCH.probe + BATCH_SIZE * 16 } as const;
const SET_SHIFT = Math.log2(FLOW_CACHE_SET_BYTES);
const ANY_WAY = 3;

export interface FlowCache {
  /** cache_begin(list, list_count): whether the cache may be used in this burst. */
  readonly begin: FunctionEntry;
  /** cache_lookup(batch, left) -> packets that stay pending */
  readonly lookup: FunctionEntry;
  /** cache_learn(batch, left): what became of those `left` packets. */
  readonly learn: FunctionEntry;
}

/** @param masks all masks that the program knows; with any other in force the cache is not used */
export function emitFlowCache(
  table: TableScope,
  masks: readonly { readonly number: number; readonly bytes: Uint8Array }[],
): FlowCache {
  const union = masks[0]!.bytes.map((_, at) => masks.reduce((all, { bytes }) => all | bytes[at]!, 0));
  return {
    begin: emitBegin(table, new Set(masks.map(({ number }) => number))),
    lookup: emitCacheLookup(table, maskWords(union), emitBlockDifference(table)),
    learn: emitLearn(table),
  };
}

/** Starts a new epoch when the table changed, and finds out whether every mask in force is in the union. */
function emitBegin(table: TableScope, known: ReadonlySet<number>): FunctionEntry {
  const params = { list: "i32", list_count: "i32" } as const;
  return emitFunction(table.scope.module, "cache_begin", params, ["i32"], ({ params, locals }) => {
    const { scratch } = table.scope.thread;
    const root = table.scope.region("tableRoot");
    const published = locals.i32("published");
    const same = (word: number, value: I32): I32 => i32.eq(i32Memory.load(scratch, word), value);
    const { list, list_count: count } = params;
    return [
      // Before any look-up of the burst: pairs with the store in table-writer.ts.
      published.set(i32Memory.atomicLoad(i32.const(root), ROOT.publishedCount * 4)),
      ifElse(
        i32.and(
          same(ENGINE.cachePublished, published.get),
          i32.and(same(ENGINE.cacheList, list.get), same(ENGINE.cacheListCount, count.get)),
        ),
        [ret(i32Memory.load(scratch, ENGINE.cacheServes))],
      ),
      i32Memory.store(scratch, published.get, ENGINE.cachePublished),
      i32Memory.store(scratch, list.get, ENGINE.cacheList),
      i32Memory.store(scratch, count.get, ENGINE.cacheListCount),
      i32Memory.store(
        scratch,
        i32.add(i32Memory.load(scratch, ENGINE.cacheEpoch), i32.const(1)),
        ENGINE.cacheEpoch,
      ),
      i32Memory.store(scratch, i32.const(0), ENGINE.cacheServes),
      ...refuseUnknown(table, known, list, count, locals),
      i32Memory.store(scratch, i32.const(1), ENGINE.cacheServes),
      ret(i32.const(1)),
    ];
  });
}

/** Returns 0 from the function when the list names a mask that is not in the set. */
function refuseUnknown(
  table: TableScope,
  known: ReadonlySet<number>,
  list: LocalI32,
  count: LocalI32,
  locals: Locals,
): readonly Statement[] {
  const number = locals.i32("mask_number");
  const subtable = i32.mul(i32Memory.load(list.get), i32.const(SUBTABLE_BYTES));
  const isKnown = [...known]
    .map((one) => i32.eq(number.get, i32.const(one)))
    .reduce((any, one) => i32.or(any, one));
  return [
    block("all_known", (done) => [
      loop("each_mask", (next) => [
        brIf(done, i32.eqz(count.get)),
        number.set(i32Memory.load(subtable, table.subtables + SUBTABLE.maskNumber * 4)),
        ifElse(i32.eqz(isKnown), [ret(i32.const(0))]),
        list.set(i32.add(list.get, i32.const(4))),
        count.set(i32.sub(count.get, i32.const(1))),
        br(next),
      ]),
    ]),
  ];
}

const setAddress = (table: TableScope, hash: I32): I32 =>
  i32.add(
    table.scope.thread.flowCache,
    i32.shl(i32.and(hash, i32.const(FLOW_CACHE_SETS - 1)), i32.const(SET_SHIFT)),
  );

interface CacheLocals {
  readonly batch: LocalI32;
  readonly left: LocalI32;
  readonly pass: PassLocals;
  readonly key: LocalI32;
  readonly hash: LocalI32;
}

/** Two passes: hash and the set's signatures, then flow, compare and result. */
function emitCacheLookup(
  table: TableScope,
  words: readonly MaskWord[],
  difference: FunctionEntry,
): FunctionEntry {
  const params = { batch: "i32", left: "i32" } as const;
  return emitFunction(table.scope.module, "cache_lookup", params, ["i32"], ({ params, locals }) => {
    const cache: CacheLocals = {
      ...params,
      pass: { at: locals.i32("at"), end: locals.i32("end") },
      key: locals.i32("key"),
      hash: locals.i32("hash"),
    };
    const missed = locals.i32("missed");
    return [
      ...findSignatures(table, words, cache, locals),
      confirmFlows(difference, cache, missed, locals),
      ret(missed.get),
    ];
  });
}

function findSignatures(
  table: TableScope,
  words: readonly MaskWord[],
  { batch, left, pass, key, hash }: CacheLocals,
  locals: Locals,
): readonly Statement[] {
  const set = locals.i32("set");
  const ways = locals.i32("ways");
  const epoch = locals.add("epoch", "v128");
  const equal = (offset: number, value: V128): V128 => i32x4.eq(v128Memory.load(set.get, offset), value);
  const hashed = hashWords(table, words, key.get);
  const way = i32.and(i32.ctz(ways.get), i32.const(ANY_WAY));
  const flow = i32Memory.load(i32.add(set.get, i32.shl(way, i32.const(2))), FLOW_CACHE_SET.flows);
  return [
    epoch.set(i32x4.splat(i32Memory.load(table.scope.thread.scratch, ENGINE.cacheEpoch))),
    forPositions("hash_and_set", pass, batch.get, left.get, [
      key.set(keyAddress(batch.get, i32Memory.load(pass.at.get, PROBE.pending))),
      hash.set(hashed),
      table.finishHash(hash),
      set.set(setAddress(table, hash.get)),
      i32Memory.store(pass.at.get, hash.get, PROBE.hashes),
      ways.set(
        i32x4.bitmask(
          v128.and(
            equal(FLOW_CACHE_SET.signatures, i32x4.splat(hash.get)),
            equal(FLOW_CACHE_SET.epochs, epoch.get),
          ),
        ),
      ),
      // Without a way this is flow 0, which nobody has.
      i32Memory.store(
        pass.at.get,
        i32.and(flow, i32.sub(i32.const(0), i32.ne(ways.get, i32.const(0)))),
        PROBE.words,
      ),
    ]),
  ];
}

/** Hits go to the `flow` column; the others stay pending, and are kept for cache_learn. */
function confirmFlows(
  difference: FunctionEntry,
  { batch, left, pass, key, hash }: CacheLocals,
  missed: LocalI32,
  locals: Locals,
): Statement {
  const slot = locals.i32("slot");
  const flow = locals.i32("flow");
  const slotWord = i32.add(batch.get, i32.shl(slot.get, i32.const(2)));
  const missedWord = i32.add(batch.get, i32.shl(missed.get, i32.const(2)));
  return forPositions("confirm", pass, batch.get, left.get, [
    slot.set(i32Memory.load(pass.at.get, PROBE.pending)),
    flow.set(i32Memory.load(pass.at.get, PROBE.words)),
    block("next", (next) => [
      block("unknown", (unknown) => [
        brIf(unknown, i32.eqz(flow.get)),
        key.set(keyAddress(batch.get, slot.get)),
        brIf(unknown, call("i32", difference, key.get, flow.get)),
        i32Memory.store(slotWord, flow.get, BATCH.flow),
        br(next),
      ]),
      hash.set(i32Memory.load(pass.at.get, PROBE.hashes)),
      i32Memory.store(missedWord, slot.get, PROBE.pending),
      i32Memory.store(missedWord, slot.get, CACHE.pending),
      i32Memory.store(missedWord, hash.get, CACHE.hashes),
      missed.set(i32.add(missed.get, i32.const(1))),
    ]),
  ]);
}

/** block_difference(key, flow): not 0 when the flow is not live or its masked key is not the packet's. */
function emitBlockDifference(table: TableScope): FunctionEntry {
  const params = { key: "i32", flow: "i32" } as const;
  return emitFunction(
    table.scope.module,
    "block_difference",
    params,
    ["i32"],
    ({ params: { key, flow }, locals }) => {
      const state = locals.i32("state");
      const subtable = locals.i32("subtable");
      const stored = locals.i32("stored");
      const at = locals.i32("block_at");
      const end = locals.i32("block_end");
      const offset = locals.i32("block_offset");
      const differs = locals.add("differs", "v128");
      const longKey = i32Memory.load(recordOffset(flow.get), table.flows + FLOW.longKey * 4);
      return [
        // Live covers the whole record: pairs with the store in flow-store.ts.
        state.set(i32Memory.atomicLoad(recordOffset(flow.get), table.flows + FLOW.state * 4)),
        ifElse(i32.eqz(i32.and(state.get, i32.const(FLOW_STATE.live))), [ret(i32.const(1))]),
        subtable.set(
          i32.add(
            i32.mul(i32.shr_u(state.get, i32.const(16)), i32.const(SUBTABLE_BYTES)),
            i32.const(table.subtables),
          ),
        ),
        at.set(i32.add(subtable.get, i32.const(SUBTABLE.blocks * 4))),
        end.set(
          i32.add(at.get, i32.shl(i32Memory.load(subtable.get, SUBTABLE.blockCount * 4), i32.const(2))),
        ),
        stored.set(i32.add(recordOffset(flow.get), i32.const(table.flows + FLOW.key * 4))),
        ifElse(i32.gt_u(i32Memory.load(subtable.get, SUBTABLE.blockCount * 4), i32.const(INLINE_BLOCKS)), [
          stored.set(i32.add(i32.mul(longKey, i32.const(KEY_UNIT_BYTES)), i32.const(table.flowKeys))),
        ]),
        block("all_blocks", (done) => [
          loop("each_block", (next) => [
            brIf(done, i32.eq(at.get, end.get)),
            offset.set(i32.mul(i32Memory.load(at.get), i32.const(KEY_BLOCK_BYTES))),
            differs.set(
              v128.or(
                differs.get,
                v128.and(
                  v128.xor(v128Memory.load(i32.add(key.get, offset.get)), v128Memory.load(stored.get)),
                  v128Memory.load(i32.add(subtable.get, offset.get), SUBTABLE.mask * 4),
                ),
              ),
            ),
            stored.set(i32.add(stored.get, i32.const(KEY_BLOCK_BYTES))),
            at.set(i32.add(at.get, i32.const(4))),
            br(next),
          ]),
        ]),
        ret(v128.any_true(differs.get)),
      ];
    },
  );
}

/** Remembers what the packets that the cache did not know hit, each in the way whose turn it is. */
function emitLearn(table: TableScope): FunctionEntry {
  const params = { batch: "i32", left: "i32" } as const;
  return emitFunction(
    table.scope.module,
    "cache_learn",
    params,
    [],
    ({ params: { batch, left }, locals }) => {
      const pass = { at: locals.i32("at"), end: locals.i32("end") };
      const { scratch } = table.scope.thread;
      const flow = locals.i32("flow");
      const hash = locals.i32("hash");
      const way = locals.i32("way");
      const entry = locals.i32("entry");
      const slotWord = i32.add(batch.get, i32.shl(i32Memory.load(pass.at.get, CACHE.pending), i32.const(2)));
      return [
        way.set(i32Memory.load(scratch, ENGINE.cacheWay)),
        forPositions("remember", pass, batch.get, left.get, [
          flow.set(i32Memory.load(slotWord, BATCH.flow)),
          ifElse(flow.get, [
            hash.set(i32Memory.load(pass.at.get, CACHE.hashes)),
            way.set(i32.add(way.get, i32.const(1))),
            entry.set(
              i32.add(
                setAddress(table, hash.get),
                i32.shl(i32.and(way.get, i32.const(ANY_WAY)), i32.const(2)),
              ),
            ),
            i32Memory.store(entry.get, hash.get, FLOW_CACHE_SET.signatures),
            i32Memory.store(entry.get, flow.get, FLOW_CACHE_SET.flows),
            i32Memory.store(entry.get, i32Memory.load(scratch, ENGINE.cacheEpoch), FLOW_CACHE_SET.epochs),
          ]),
        ]),
        i32Memory.store(scratch, way.get, ENGINE.cacheWay),
      ];
    },
  );
}
