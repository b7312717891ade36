// lookup(batch, count) -> hits: every key of the batch through the subtables in their published order, the first hit
// wins. Beside table/table-reader.ts (lookupBatch) and the counting of datapath/batch-stage.ts (lookup).
//
// Where there are several masks the cache of look-ups comes first (flow-cache.ts). A subtable's mask number picks the probe made for its mask; a mask that the program does not know goes to the general
// one. Writes the `flow` column: the flow, 0 for a miss. Counters: hits and probes of each subtable, lookup_hit,
// lookup_miss, masks_probed.
import { COUNTER } from "../../datapath/counters.ts";
import { BATCH } from "../../memory/batch-layout.ts";
import { SUBTABLE_BYTES, SUBTABLE_HITS_BYTES } from "../../memory/region-plan.ts";
import { listOffset, ROOT, SUBTABLE } from "../../table/layout.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import { block, br, brIf, brTable, call, callStatement, ifElse, loop, ret } from "../ops/control.ts";
import type { I32, Statement } from "../ops/expression.ts";
import { emitFunction, type Local } from "../ops/function.ts";
import { f64Memory, i32Memory } from "../ops/memory.ts";
import { f64, i32 } from "../ops/numeric.ts";
import { addToCounter } from "./counters.ts";
import { emitFlowCache, type FlowCache } from "./flow-cache.ts";
import { emitGeneralProbe } from "./probe-general.ts";
import { emitMaskProbe } from "./probe-mask.ts";
import { forPositions, PROBE } from "./probe-parts.ts";
import type { EmitScope } from "./scope.ts";
import { TableScope } from "./table-scope.ts";

/** A mask that gets a probe of its own. */
export interface CompiledMask {
  /** table/mask-numbers.ts */
  readonly number: number;
  /** For profilers and disassemblers: `ipv4_tcp_dst`. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Masks from which the cache serves: below, probing them all costs no more than a look into it. */
export const CACHE_MASKS_MIN = 3;

export function emitLookup(scope: EmitScope, masks: readonly CompiledMask[]): FunctionEntry {
  const table = new TableScope(scope);
  const { probe: general, chain } = emitGeneralProbe(table);
  const probes = masks.map((mask) => ({
    number: mask.number,
    entry: emitMaskProbe(table, `lookup_${mask.name}`, mask.bytes, chain),
  }));
  const cache = masks.length < CACHE_MASKS_MIN ? null : emitFlowCache(table, masks);
  const params = { batch: "i32", count: "i32" } as const;
  return emitFunction(scope.module, "lookup", params, ["i32"], ({ params: { batch, count }, locals }) => {
    const pass = { at: locals.i32("at"), end: locals.i32("end") };
    const left = locals.i32("left");
    const missed = locals.i32("missed");
    const list = locals.i32("list");
    const listEnd = locals.i32("list_end");
    const id = locals.i32("id");
    const subtable = locals.i32("subtable");
    const probed = locals.i32("probed");
    const slot = locals.i32("slot");
    const serves = locals.i32("cache_serves");
    const unknown = locals.i32("unknown");
    const root = scope.region("tableRoot");
    return [
      slot.set(i32.const(0)),
      forPositions("make_pending", pass, batch.get, count.get, [
        i32Memory.store(pass.at.get, slot.get, PROBE.pending),
        slot.set(i32.add(slot.get, i32.const(1))),
      ]),
      left.set(count.get),
      ...loadList(scope, root, list, listEnd),
      ...lookIntoCache(scope, cache, { batch, left, list, listEnd, serves, unknown }),
      block("all_probed", (done) => [
        loop("each_subtable", (next) => [
          brIf(done, i32.eq(list.get, listEnd.get)),
          brIf(done, i32.eqz(left.get)),
          id.set(i32Memory.load(list.get)),
          subtable.set(i32.add(i32.mul(id.get, i32.const(SUBTABLE_BYTES)), i32.const(table.subtables))),
          probed.set(i32.add(probed.get, left.get)),
          ...probeByNumber({ batch, subtable, left, missed }, probes, general),
          ...countProbe(scope, id, left, missed),
          left.set(missed.get),
          list.set(i32.add(list.get, i32.const(4))),
          br(next),
        ]),
      ]),
      forPositions("missed_all", pass, batch.get, left.get, [
        i32Memory.store(
          i32.add(batch.get, i32.shl(i32Memory.load(pass.at.get, PROBE.pending), i32.const(2))),
          i32.const(0),
          BATCH.flow,
        ),
      ]),
      ...learn(cache, { batch, serves, unknown }),
      addToCounter(scope, COUNTER.lookup_hit, i32.sub(count.get, left.get)),
      ifElse(left.get, [addToCounter(scope, COUNTER.lookup_miss, left.get)]),
      addToCounter(scope, COUNTER.masks_probed, probed.get),
      ret(i32.sub(count.get, left.get)),
    ];
  });
}

/** Takes up the published list: the loads pair with the stores of table/subtables.ts. */
function loadList(
  scope: EmitScope,
  root: number,
  list: Local<"i32">,
  listEnd: Local<"i32">,
): readonly Statement[] {
  const which = i32.and(i32Memory.atomicLoad(i32.const(root), ROOT.list * 4), i32.const(1));
  const [first, second] = [0, 1].map((number) => root + listOffset(scope.arena, number)) as [number, number];
  return [
    list.set(which),
    listEnd.set(
      i32Memory.atomicLoad(i32.add(i32.const(root), i32.shl(list.get, i32.const(2))), ROOT.listCounts * 4),
    ),
    list.set(i32.add(i32.mul(list.get, i32.const(second - first)), i32.const(first))),
    listEnd.set(i32.add(list.get, i32.shl(listEnd.get, i32.const(2)))),
  ];
}

interface CacheLocals {
  readonly batch: Local<"i32">;
  readonly serves: Local<"i32">;
  /** Packets that the cache did not know. */
  readonly unknown: Local<"i32">;
}

function lookIntoCache(
  scope: EmitScope,
  cache: FlowCache | null,
  {
    batch,
    left,
    list,
    listEnd,
    serves,
    unknown,
  }: CacheLocals & Readonly<Record<"left" | "list" | "listEnd", Local<"i32">>>,
): readonly Statement[] {
  if (cache === null) return [];
  const listCount = i32.shr_u(i32.sub(listEnd.get, list.get), i32.const(2));
  return [
    serves.set(call("i32", cache.begin, list.get, listCount)),
    ifElse(serves.get, [
      unknown.set(call("i32", cache.lookup, batch.get, left.get)),
      addToCounter(scope, COUNTER.cache_hit, i32.sub(left.get, unknown.get)),
      left.set(unknown.get),
    ]),
  ];
}

function learn(cache: FlowCache | null, { batch, serves, unknown }: CacheLocals): readonly Statement[] {
  if (cache === null) return [];
  return [ifElse(serves.get, [callStatement(cache.learn, batch.get, unknown.get)])];
}

interface ProbeLocals {
  readonly batch: Local<"i32">;
  readonly subtable: Local<"i32">;
  readonly left: Local<"i32">;
  readonly missed: Local<"i32">;
}

interface NumberedProbe {
  readonly number: number;
  readonly entry: FunctionEntry;
}

/** One jump to the probe of the mask's number; numbers that have none go to the general probe. */
function probeByNumber(
  { batch, subtable, left, missed }: ProbeLocals,
  probes: readonly NumberedProbe[],
  general: FunctionEntry,
): readonly Statement[] {
  const probeWith = (entry: FunctionEntry): Statement =>
    missed.set(call("i32", entry, batch.get, subtable.get, left.get));
  if (probes.length === 0) return [probeWith(general)];
  const sorted = [...probes].sort((a, b) => a.number - b.number);
  const first = sorted[0]!.number;
  const index: I32 = i32.sub(i32Memory.load(subtable.get, SUBTABLE.maskNumber * 4), i32.const(first));
  return [
    block("probed", (probed) => {
      const nest = (
        depth: number,
        labels: readonly { number: number; label: Parameters<typeof br>[0] }[],
      ): Statement[] => {
        if (depth < 0) {
          const byNumber = new Map(labels.map(({ number, label }) => [number, label]));
          const other = byNumber.get(0)!;
          const span = sorted.at(-1)!.number - first + 1;
          const targets = Array.from({ length: span }, (_, offset) => byNumber.get(first + offset) ?? other);
          return [brTable(index, [...targets, other])];
        }
        const { number, entry } = sorted[depth]!;
        return [
          block(entry.name, (label) => nest(depth - 1, [...labels, { number, label }])),
          probeWith(entry),
          br(probed),
        ];
      };
      return [
        block("any_mask", (label) => nest(sorted.length - 1, [{ number: 0, label }])),
        probeWith(general),
      ];
    }),
  ];
}

function countProbe(
  scope: EmitScope,
  id: Local<"i32">,
  left: Local<"i32">,
  missed: Local<"i32">,
): readonly Statement[] {
  const at = i32.add(scope.thread.subtableHits, i32.mul(id.get, i32.const(SUBTABLE_HITS_BYTES)));
  const add = (offset: number, delta: I32): Statement =>
    f64Memory.store(at, f64.add(f64Memory.load(at, offset), f64.convert_i32_u(delta)), offset);
  return [add(0, i32.sub(left.get, missed.get)), add(8, left.get)];
}
