// The probe that knows no mask: it reads the subtable's words as table/subtable-probe.ts does. It serves a mask at once
// that no program was made for, and follows the chains of all, because a second place is rare.

import { KEY_UNIT_BYTES } from "../../table/flow-store.ts";
import { FLOW, INLINE_BLOCKS, SUBTABLE } from "../../table/layout.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import { block, br, brIf, call, ifElse, loop, ret } from "../ops/control.ts";
import type { I32, Statement } from "../ops/expression.ts";
import { emitFunction, type Local, type Locals } from "../ops/function.ts";
import { i32Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import { emitProbe, isCandidate, loadPlaces, placeAddress, recordOffset, tagOf } from "./probe-parts.ts";
import type { TableScope } from "./table-scope.ts";

/** Bytes of an entry of SUBTABLE.words: index in a key, bits, index in a stored key. */
const ENTRY_BYTES = 12;
const FLOW_KEY_BYTES = FLOW.key * 4;

/** A loop over the subtable's mask words; the body has the entry's address. Nothing when the mask is empty. */
function forMaskWords(
  name: string,
  locals: Locals,
  subtable: I32,
  body: (entry: Local<"i32">) => readonly Statement[],
): Statement {
  const entry = locals.i32(`${name}_entry`);
  const last = locals.i32(`${name}_last`);
  return block(`${name}_done`, (done) => [
    entry.set(i32.add(subtable, i32.const(SUBTABLE.words * 4))),
    last.set(
      i32.add(entry.get, i32.mul(i32Memory.load(subtable, SUBTABLE.wordCount * 4), i32.const(ENTRY_BYTES))),
    ),
    brIf(done, i32.eq(entry.get, last.get)),
    loop(name, (next) => [
      ...body(entry),
      entry.set(i32.add(entry.get, i32.const(ENTRY_BYTES))),
      brIf(next, i32.ne(entry.get, last.get)),
    ]),
  ]);
}

/** A word of a key, by the index that stands at `entry` + offset. */
const wordAt = (key: I32, entry: Local<"i32">, offset: number): I32 =>
  i32Memory.load(i32.add(key, i32.shl(i32Memory.load(entry.get, offset), i32.const(2))));

/** matches(subtable, key, candidate) -> difference of the masked key and the flow's, 0 when they are equal. */
function emitDifference(table: TableScope): FunctionEntry {
  const params = { subtable: "i32", key: "i32", candidate: "i32" } as const;
  return emitFunction(table.scope.module, "difference", params, ["i32"], ({ params, locals }) => {
    const stored = locals.i32("stored");
    const differs = locals.i32("differs");
    const record = i32.add(recordOffset(params.candidate.get), i32.const(table.flows));
    const longKey = i32Memory.load(recordOffset(params.candidate.get), table.flows + FLOW.longKey * 4);
    return [
      stored.set(i32.add(record, i32.const(FLOW_KEY_BYTES))),
      ifElse(
        i32.gt_u(i32Memory.load(params.subtable.get, SUBTABLE.blockCount * 4), i32.const(INLINE_BLOCKS)),
        [stored.set(i32.add(i32.mul(longKey, i32.const(KEY_UNIT_BYTES)), i32.const(table.flowKeys)))],
      ),
      forMaskWords("each", locals, params.subtable.get, (entry) => [
        differs.set(
          i32.or(
            differs.get,
            i32.and(
              i32.xor(wordAt(params.key.get, entry, 0), wordAt(stored.get, entry, 8)),
              i32Memory.load(entry.get, 4),
            ),
          ),
        ),
      ]),
      ret(differs.get),
    ];
  });
}

/** chain(subtable, key, hash, from) -> flow: follows a chain from place `from` on, as SubtableProbe.chain. */
function emitChain(table: TableScope, difference: FunctionEntry): FunctionEntry {
  const params = { subtable: "i32", key: "i32", hash: "i32", from: "i32" } as const;
  return emitFunction(table.scope.module, "chain", params, ["i32"], ({ params, locals }) => {
    const { subtable, key, hash, from: place } = params;
    const word = locals.i32("bucket");
    const candidate = locals.i32("candidate");
    const { places, load } = loadPlaces(table, locals, subtable.get);
    return [
      ...load,
      loop("next", (next) => [
        place.set(i32.and(place.get, places.mask.get)),
        word.set(i32Memory.load(placeAddress(places, place.get))),
        ifElse(i32.eqz(word.get), [ret(i32.const(0))]),
        candidate.set(i32.xor(word.get, tagOf(hash.get))),
        ifElse(isCandidate(candidate.get), [
          ifElse(i32.eqz(call("i32", difference, subtable.get, key.get, candidate.get)), [
            ret(candidate.get),
          ]),
        ]),
        place.set(i32.add(place.get, i32.const(1))),
        br(next),
      ]),
    ];
  });
}

export interface GeneralProbe {
  /** probe(batch, subtable, left) -> packets that stay pending */
  readonly probe: FunctionEntry;
  readonly chain: FunctionEntry;
}

export function emitGeneralProbe(table: TableScope): GeneralProbe {
  const difference = emitDifference(table);
  const chain = emitChain(table, difference);
  const probe = emitProbe(table, "probe_any_mask", {
    chain,
    hashKey: (locals, subtable, key, hash) => [
      hash.set(i32.const(table.hashStart)),
      forMaskWords("hash_words", locals, subtable.get, (entry) => [
        hash.set(table.hashStep(hash.get, i32.and(wordAt(key.get, entry, 0), i32Memory.load(entry.get, 4)))),
      ]),
    ],
    compare: (_locals, { subtable, key, candidate, differs }) => [
      differs.set(call("i32", difference, subtable.get, key.get, candidate.get)),
    ],
  });
  return { probe, chain };
}
