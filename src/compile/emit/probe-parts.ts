// Parts that every probe of a subtable has, special or general: which bucket array, which place, which candidate, and
// the two passes over the packets that no subtable matched so far.
//
// Beside table/batch-probe.ts, which it equals. It takes five passes because V8 checks every access; here a pass of hash
// and bucket load and one of compare and result let the processor overlap as many misses.
import { KEY_BYTES } from "../../flow/fields.ts";
import { BATCH, BATCH_SIZE } from "../../memory/batch-layout.ts";
import { FLOW_RECORD_BYTES } from "../../memory/region-plan.ts";
import { BUCKET_UNIT_BYTES, SIZE_BITS } from "../../table/bucket-array.ts";
import { SUBTABLE, TAG_MASK } from "../../table/layout.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import { block, br, brIf, call, ifElse, loop, ret } from "../ops/control.ts";
import type { I32, Statement } from "../ops/expression.ts";
import { emitFunction, type Local, type Locals } from "../ops/function.ts";
import { i32Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import type { TableScope } from "./table-scope.ts";

type LocalI32 = Local<"i32">;

/** Columns of BATCH.probe, byte offsets from the batch: PENDING is by position, so are the others. */
export const PROBE = {
  pending: BATCH.probe,
  hashes: BATCH.probe + BATCH_SIZE * 4,
  words: BATCH.probe + BATCH_SIZE * 8,
} as const;

const FLOW_NUMBER_MAX = ~TAG_MASK;

/** Address of a slot's key. */
export const keyAddress = (batch: I32, slot: I32): I32 =>
  i32.add(i32.add(batch, i32.const(BATCH.keys)), i32.mul(slot, i32.const(KEY_BYTES)));

/** Address of a flow's record less the region's base, which stands as the static offset of loads. */
export const recordOffset = (flowNo: I32): I32 => i32.mul(flowNo, i32.const(FLOW_RECORD_BYTES));

export interface Places {
  /** Address of place 0. */
  readonly first: LocalI32;
  readonly mask: LocalI32;
}

/** Loads the published word of the subtable's buckets once: place and size change together. */
export function loadPlaces(
  table: TableScope,
  locals: Locals,
  subtable: I32,
): { places: Places; load: readonly Statement[] } {
  const reference = locals.i32("buckets");
  const places = { first: locals.i32("places"), mask: locals.i32("place_mask") };
  return {
    places,
    load: [
      reference.set(i32Memory.load(subtable, SUBTABLE.buckets * 4)),
      places.first.set(
        i32.add(
          i32.mul(i32.shr_u(reference.get, i32.const(SIZE_BITS)), i32.const(BUCKET_UNIT_BYTES)),
          i32.const(table.buckets),
        ),
      ),
      places.mask.set(
        i32.sub(i32.shl(i32.const(1), i32.and(reference.get, i32.const((1 << SIZE_BITS) - 1))), i32.const(1)),
      ),
    ],
  };
}

export const placeAddress = ({ first }: Places, place: I32): I32 =>
  i32.add(first.get, i32.shl(place, i32.const(2)));

/** Whether a bucket's word with the tag taken away is a flow number: tags were equal, and it is no tombstone. */
export const isCandidate = (candidate: I32): I32 =>
  i32.lt_u(i32.sub(candidate, i32.const(1)), i32.const(FLOW_NUMBER_MAX));

export const tagOf = (hash: I32): I32 => i32.and(hash, i32.const(TAG_MASK));

export interface PassLocals {
  /** Byte address of the current position in the columns. */
  readonly at: LocalI32;
  readonly end: LocalI32;
}

/** A loop over the first `left` positions: `at` is batch + 4 * position. Nothing when there are none. */
export function forPositions(
  name: string,
  { at, end }: PassLocals,
  batch: I32,
  left: I32,
  body: readonly Statement[],
): Statement {
  return block(`${name}_done`, (done) => [
    at.set(batch),
    end.set(i32.add(batch, i32.shl(left, i32.const(2)))),
    brIf(done, i32.ge_u(at.get, end.get)),
    loop(name, (next) => [
      ...body,
      at.set(i32.add(at.get, i32.const(4))),
      brIf(next, i32.lt_u(at.get, end.get)),
    ]),
  ]);
}

/** What tells one probe from another. */
export interface ProbeParts {
  /** Statements that leave the unfinished hash of the key in `hash`. */
  readonly hashKey: (
    locals: Locals,
    subtable: LocalI32,
    key: LocalI32,
    hash: LocalI32,
  ) => readonly Statement[];
  /** Statements that leave the difference of key and candidate's stored key in `differs`: 0 when they match. */
  readonly compare: (
    locals: Locals,
    compared: Readonly<Record<"subtable" | "key" | "candidate" | "differs", LocalI32>>,
  ) => readonly Statement[];
  /** chain(subtable, key, hash, place): the rest of a chain (emit/probe-general.ts). */
  readonly chain: FunctionEntry;
}

/** probe(batch, subtable, left) -> packets that stay pending: a pass of hash and bucket, and one of compare and result. */
export function emitProbe(table: TableScope, name: string, parts: ProbeParts): FunctionEntry {
  const params = { batch: "i32", subtable: "i32", left: "i32" } as const;
  return emitFunction(table.scope.module, name, params, ["i32"], ({ params, locals }) => {
    const { batch, subtable, left } = params;
    const pass = { at: locals.i32("at"), end: locals.i32("end") };
    const key = locals.i32("packet_key");
    const hash = locals.i32("hash");
    const { places, load } = loadPlaces(table, locals, subtable.get);
    const place = placeAddress(places, i32.and(hash.get, places.mask.get));
    const settle = settlePass(locals, { batch, subtable, left }, pass, parts);
    return [
      ...load,
      forPositions("hash_and_bucket", pass, batch.get, left.get, [
        key.set(keyAddress(batch.get, i32Memory.load(pass.at.get, PROBE.pending))),
        ...parts.hashKey(locals, subtable, key, hash),
        table.finishHash(hash),
        i32Memory.store(pass.at.get, hash.get, PROBE.hashes),
        i32Memory.store(pass.at.get, i32Memory.load(place), PROBE.words),
      ]),
      ...settle.statements,
      ret(settle.missed.get),
    ];
  });
}

/**
 * The second pass: candidates are compared, hits written to the `flow` column, the others kept pending in order.
 * Leaves the number of those in `missed`.
 */
function settlePass(
  locals: Locals,
  { batch, subtable, left }: { batch: LocalI32; subtable: LocalI32; left: LocalI32 },
  pass: PassLocals,
  { compare, chain }: ProbeParts,
): { missed: LocalI32; statements: readonly Statement[] } {
  const slot = locals.i32("slot");
  const key = locals.i32("key");
  const word = locals.i32("bucket");
  const hash = locals.i32("packet_hash");
  const candidate = locals.i32("candidate");
  const differs = locals.i32("differs");
  const missed = locals.i32("missed");
  const writeFlow = i32Memory.store(
    i32.add(batch.get, i32.shl(slot.get, i32.const(2))),
    candidate.get,
    BATCH.flow,
  );
  const statements = [
    missed.set(i32.const(0)),
    forPositions("settle", pass, batch.get, left.get, [
      slot.set(i32Memory.load(pass.at.get, PROBE.pending)),
      word.set(i32Memory.load(pass.at.get, PROBE.words)),
      hash.set(i32Memory.load(pass.at.get, PROBE.hashes)),
      key.set(keyAddress(batch.get, slot.get)),
      candidate.set(i32.xor(word.get, tagOf(hash.get))),
      block("next", (next) => [
        block("elsewhere", (elsewhere) => [
          brIf(elsewhere, i32.eqz(isCandidate(candidate.get))),
          ...compare(locals, { subtable, key, candidate, differs }),
          brIf(elsewhere, differs.get),
          writeFlow,
          br(next),
        ]),
        // An empty place ends the chain; anything else sends the packet along it.
        candidate.set(i32.const(0)),
        ifElse(word.get, [
          candidate.set(call("i32", chain, subtable.get, key.get, hash.get, i32.add(hash.get, i32.const(1)))),
        ]),
        ifElse(
          candidate.get,
          [writeFlow],
          [
            i32Memory.store(i32.add(batch.get, i32.shl(missed.get, i32.const(2))), slot.get, PROBE.pending),
            missed.set(i32.add(missed.get, i32.const(1))),
          ],
        ),
      ]),
    ]),
  ];
  return { missed, statements };
}
