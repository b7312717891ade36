// The actions of a batch: what datapath/batch-stage.ts and action/executor.ts do for packets that hit a flow, for the
// action lists whose shapes the program knows (table/shape-store.ts).
//
//   act(batch, from, count, nowMillis) -> the slot at which it stopped, `count` when all were carried out
//
// Three passes over slots from .. count - 1, so that the loads of one do not wait for each other: every packet's action list
// and its shape; by the shape, the list's code; the flows' statistics, of packets that were carried out. The pass ends
// before a packet whose list has no code here, or whose headers or frames are not as the code wants them: nothing of it
// was changed or counted, and the reference carries it out. A slot without a flow ends it too.
//
// Memory: the batch; `flows`, `actions` and frames as the reference; this thread's frame stack, flow statistics and scratch:
// outputs gather in ENGINE.outList, dropped frames and copies go to and come from the frame stack. Counters:
// copied, drops. What recirculates joins the batch ENGINE.recircBatch, which whoever calls looks up when this
// one is done, or empties when it is full and a packet stopped for it. nowMillis is the burst's time.
import { BATCH } from "../../memory/batch-layout.ts";
import { ENGINE, OUT_ENTRY_BYTES, OUT_LIST_MAX } from "../../memory/engine-layout.ts";
import { NO_FRAME } from "../../memory/frame-layout.ts";
import { FLOW_RECORD_BYTES, FLOW_STATS_BYTES } from "../../memory/region-plan.ts";
import { ACTION_SHAPE_SHIFT, ACTION_UNIT_BYTES } from "../../table/action-store.ts";
import { FLOW, STATS } from "../../table/layout.ts";
import type { ActionShape } from "../../table/shape-store.ts";
import type { Label } from "../encoder/code.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import { block, br, brIf, brTable, loop, ret, whileLoop } from "../ops/control.ts";
import type { I32, I64, Statement } from "../ops/expression.ts";
import { declare, define, type LocalI32, type Locals } from "../ops/function.ts";
import { i32Memory, i64Memory } from "../ops/memory.ts";
import { i32, i64 } from "../ops/numeric.ts";
import { guardRoom } from "./act-handover.ts";
import { actionList } from "./act-list.ts";
import { guardRecircRoom } from "./act-recirc.ts";
import { ActCode, Hand, NoTemplate, Template } from "./act-template.ts";
import type { EmitScope } from "./scope.ts";

const FLOW_SHIFT = Math.log2(FLOW_RECORD_BYTES);
const STATS_SHIFT = Math.log2(FLOW_STATS_BYTES);
const LIST_SHIFT = Math.log2(ACTION_UNIT_BYTES);
const SLOT_BYTES = i32.const(4);

/** Shapes that there is no code for are left out, and their packets stop the pass. */
export function emitAct(scope: EmitScope, shapes: readonly ActionShape[]): FunctionEntry {
  const declared = declare(
    scope.module,
    "act",
    { batch: "i32", from: "i32", count: "i32", nowMillis: "f64" },
    ["i32"],
  );
  return define(scope.module, declared, ({ params, locals }) => {
    const { batch, from, count, nowMillis } = params;
    const code = new ActCode(scope, locals, batch);
    const first = locals.i32("first");
    const end = locals.i32("end");
    const now = locals.add("now", "i64");
    const slot = (of: LocalI32): I32 => i32.add(batch.get, i32.shl(of.get, i32.const(2)));
    const { scratch } = scope.thread;
    const outAt = i32.mul(i32Memory.load(scratch, ENGINE.outCount), i32.const(OUT_ENTRY_BYTES));
    const outCount = i32.div_u(i32.sub(code.out.get, scratch), i32.const(OUT_ENTRY_BYTES));
    return [
      first.set(slot(from)),
      end.set(slot(count)),
      code.out.set(i32.add(scratch, outAt)),
      code.outEnd.set(i32.add(scratch, i32.const(OUT_LIST_MAX * OUT_ENTRY_BYTES))),
      ...findLists(code, first, end),
      ...carryOutLists(code, shapes, first, end),
      i32Memory.store(scratch, outCount, ENGINE.outCount),
      now.set(i64.trunc_sat_f64_u(nowMillis.get)),
      ...countFlows(code, locals, first, now.get),
      ret(i32.shr_u(i32.sub(code.at.get, batch.get), i32.const(2))),
    ];
  });
}

/** First pass: the `actions` column, and the shape of each list in the first of the columns that look-ups use. */
function findLists(code: ActCode, first: LocalI32, end: LocalI32): Statement[] {
  const { at, list, scope } = code;
  const flow = i32.shl(i32Memory.load(at.get, BATCH.flow), i32.const(FLOW_SHIFT));
  const header = i32Memory.load(i32.shl(list.get, i32.const(LIST_SHIFT)), scope.region("actions"));
  return [
    at.set(first.get),
    whileLoop("lists", i32.lt_u(at.get, end.get), [
      list.set(i32Memory.load(flow, scope.region("flows") + FLOW.actions * 4)),
      i32Memory.store(at.get, list.get, BATCH.actions),
      i32Memory.store(at.get, i32.shr_u(header, i32.const(ACTION_SHAPE_SHIFT)), BATCH.probe),
      at.set(i32.add(at.get, SLOT_BYTES)),
    ]),
  ];
}

/** Second pass: a branch to the code of each packet's list. Leaves `at` where it stopped. */
function carryOutLists(
  code: ActCode,
  shapes: readonly ActionShape[],
  first: LocalI32,
  end: LocalI32,
): Statement[] {
  const { at, list } = code;
  return [
    at.set(first.get),
    block("stop", (stop) => [
      loop("next", (next) => [
        brIf(stop, i32.ge_u(at.get, end.get)),
        list.set(i32.shl(i32Memory.load(at.get, BATCH.actions), i32.const(LIST_SHIFT))),
        ...dispatch(templates(code, shapes, stop), stop, [at.set(i32.add(at.get, SLOT_BYTES)), br(next)], at),
      ]),
    ]),
  ];
}

interface ShapeCode {
  readonly number: number;
  readonly statements: readonly Statement[];
}

function templates(code: ActCode, shapes: readonly ActionShape[], stop: Label): ShapeCode[] {
  return shapes.flatMap(({ number, list }) => {
    const statements = listCode(code, list, stop);
    return statements === null ? [] : [{ number, statements }];
  });
}

/** Null when there is no code for the list. */
function listCode(code: ActCode, shape: Uint8Array, stop: Label): Statement[] | null {
  const template = new Template(code, shape, stop);
  try {
    const body = actionList(template, new Hand(template, 0));
    guardRoom(template);
    guardRecircRoom(template);
    const taken = i32Memory.store(code.at.get, i32.const(NO_FRAME), BATCH.frame);
    return [...template.setup, taken, ...body];
  } catch (error) {
    if (error instanceof NoTemplate) return null;
    throw error;
  }
}

/** A block for each shape, one in the other; the innermost has the branch, and behind each stands the shape's code. */
function dispatch(
  known: readonly ShapeCode[],
  stop: Label,
  onward: readonly Statement[],
  at: LocalI32,
): Statement[] {
  const labels = new Map<number, Label>();
  const nest = (index: number): Statement[] => {
    if (index < 0) {
      const last = Math.max(0, ...known.map(({ number }) => number));
      const table = Array.from({ length: last + 1 }, (_, number) => labels.get(number) ?? stop);
      return [brTable(i32Memory.load(at.get, BATCH.probe), [...table, stop])];
    }
    const { number, statements } = known[index]!;
    const inner = block(`shape_${number}`, (label) => {
      labels.set(number, label);
      return nest(index - 1);
    });
    return [inner, ...statements, ...onward];
  };
  return nest(known.length - 1);
}

/** Third pass: statistics of slots `first` up to `at`, as intrinsics.countFlows counts them. */
function countFlows(code: ActCode, locals: Locals, first: LocalI32, now: I64): Statement[] {
  const { at, scope } = code;
  const slot = locals.i32("counted");
  const stats = locals.i32("stats");
  const add = (offset: number, delta: I64): Statement =>
    i64Memory.store(stats.get, i64.add(i64Memory.load(stats.get, offset), delta), offset);
  const flow = i32.shl(i32Memory.load(slot.get, BATCH.flow), i32.const(STATS_SHIFT));
  const flags = i32.or(i32Memory.load(stats.get, STATS.tcpFlags), i32Memory.load(slot.get, BATCH.tcpFlags));
  return [
    slot.set(first.get),
    whileLoop("count", i32.lt_u(slot.get, at.get), [
      stats.set(i32.add(scope.thread.flowStats, flow)),
      add(STATS.packets, i64.const(1n)),
      add(STATS.bytes, i64Memory.load32_u(slot.get, BATCH.packetBytes)),
      i64Memory.store(stats.get, now, STATS.usedMillis),
      i32Memory.store(stats.get, flags, STATS.tcpFlags),
      slot.set(i32.add(slot.get, SLOT_BYTES)),
    ]),
  ];
}
