// recirc: the packet joins the batch that takes what recirculates (ENGINE.recircBatch), as RecircStage.add of
// datapath/recirc-stage.ts puts it there: its frame, the lines of its key that are in use, and the metadata that its
// actions set. Only the last action of a list recirculates here: behind any other, outputs would have to wait.

import { K, KEY_BYTES, KEY_LINE_BYTES } from "../../flow/fields.ts";
import { NLA_HEADER_BYTES } from "../../flow/nlattr.ts";
import { BATCH, BATCH_SIZE } from "../../memory/batch-layout.ts";
import { ENGINE } from "../../memory/engine-layout.ts";
import { ETH } from "../../packet/link-headers.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import { block, br, brIf, call, ifElse, loop, ret } from "../ops/control.ts";
import type { I32, Statement } from "../ops/expression.ts";
import { emitFunction } from "../ops/function.ts";
import { i32Memory, v128Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import { bytesNow, writeRecord } from "./act-handover.ts";
import type { Hand, Template } from "./act-template.ts";
import type { EmitScope } from "./scope.ts";

/** @param at offset of the action in the list */
export function recirculate(template: Template, hand: Hand, at: number): Statement[] {
  const { code, key } = template;
  const { scratch } = code.scope.thread;
  template.most.recirculations += 1;
  template.guard("a batch to recirculate to", () => i32.eqz(i32Memory.load(scratch, ENGINE.recircBatch)));
  template.guard(`bytes left ${hand.shift}`, () =>
    i32.lt_u(bytesNow(template, hand), i32.const(ETH.headerBytes)),
  );
  const add = code.helper("act_recirculate", emitAdd);
  const target = code.local("recircKey");
  const lines = i32Memory.load(code.at.get, BATCH.dirtyLines);
  const put = (field: number, value: I32): Statement =>
    i32Memory.store(target.get, value, BATCH.keys + field);
  return [
    ...writeRecord(template, hand),
    target.set(call("i32", add, hand.frame.get, key.get, lines)),
    ...[...hand.metadata].map(([field, local]) => put(field, local.get)),
    put(K.recirc_id, template.arg(at + NLA_HEADER_BYTES)),
  ];
}

/** Ends the pass where the batch might not take all that one packet recirculates. */
export function guardRecircRoom(template: Template): void {
  const { recirculations } = template.most;
  if (recirculations === 0) return;
  const { scratch } = template.code.scope.thread;
  template.guard("room to recirculate", () =>
    i32.gt_u(i32Memory.load(scratch, ENGINE.recircCount), i32.const(BATCH_SIZE - recirculations)),
  );
}

/** act_recirculate(frame, key, lines) -> the new key; both keys less BATCH.keys. Lines that are zero on both sides need no copy. */
function emitAdd(scope: EmitScope): FunctionEntry {
  const { scratch } = scope.thread;
  return emitFunction(
    scope.module,
    "act_recirculate",
    { frame: "i32", key: "i32", lines: "i32" },
    ["i32"],
    ({ params: { frame, key, lines }, locals }) => {
      const batch = locals.i32("batch");
      const slot = locals.i32("slot");
      const to = locals.i32("to");
      const from = locals.i32("from");
      const left = locals.i32("left");
      const target = locals.i32("target");
      const count = locals.i32("count");
      const copyPart = (offset: number): Statement =>
        v128Memory.store(to.get, v128Memory.load(from.get, BATCH.keys + offset), BATCH.keys + offset);
      return [
        batch.set(i32Memory.load(scratch, ENGINE.recircBatch)),
        count.set(i32Memory.load(scratch, ENGINE.recircCount)),
        i32Memory.store(scratch, i32.add(count.get, i32.const(1)), ENGINE.recircCount),
        slot.set(i32.add(batch.get, i32.shl(count.get, i32.const(2)))),
        i32Memory.store(slot.get, frame.get, BATCH.frame),
        target.set(i32.add(batch.get, i32.mul(count.get, i32.const(KEY_BYTES)))),
        left.set(i32.or(lines.get, i32Memory.load(slot.get, BATCH.dirtyLines))),
        i32Memory.store(slot.get, lines.get, BATCH.dirtyLines),
        from.set(key.get),
        to.set(target.get),
        block("copied", (copied) => [
          loop("line", (line) => [
            brIf(copied, i32.eqz(left.get)),
            ifElse(i32.and(left.get, i32.const(1)), [0, 16, 32, 48].map(copyPart)),
            left.set(i32.shr_u(left.get, i32.const(1))),
            from.set(i32.add(from.get, i32.const(KEY_LINE_BYTES))),
            to.set(i32.add(to.get, i32.const(KEY_LINE_BYTES))),
            br(line),
          ]),
        ]),
        ret(target.get),
      ];
    },
  );
}
