// Packets that leave a list: to the list of outputs, back to the frame stack, into copies. Equals OutputSink.output and
// drop as pmd/output.ts has them, Packets.clone and truncate (memory/packets.ts) for packets in one frame, and the
// frame stack of memory/frame-pool.ts.
import { COUNTER } from "../../datapath/counters.ts";
import type { DropReason } from "../../datapath/drop-reason.ts";
import { ENGINE, OUT_ENTRY, OUT_ENTRY_BYTES } from "../../memory/engine-layout.ts";
import {
  FRAME_META_BYTES,
  FRAME_STACK_CAPACITY,
  META16,
  META32,
  NO_FRAME,
} from "../../memory/frame-layout.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import { brIf, call, callStatement, ifElse, loop, ret } from "../ops/control.ts";
import type { I32, Statement } from "../ops/expression.ts";
import { emitFunction, type LocalI32 } from "../ops/function.ts";
import { i32Memory, memoryCopy, v128Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import type { Hand, Template } from "./act-template.ts";
import { addToCounter, countDrop } from "./counters.ts";
import type { EmitScope } from "./scope.ts";

/** What trunc takes off the next output; null before the first trunc. */
export type Cut = LocalI32 | null;

const DATA_OFFSET = META16.dataOffset * 2;
const DATA_BYTES = META16.dataBytes * 2;
const DATA_WORD = DATA_OFFSET;
const META_SHIFT = Math.log2(FRAME_META_BYTES);
/** Longer copies are the engine's to make. */
const COPY_BYTES_BY_LANES_MAX = 512;
/** In the record's first word: a byte fewer in front is a byte more of data. */
const DATA_WORD_SHIFT = 1 - (1 << 16);

/** Writes into the frame's record what pushes and pops did. */
export function writeRecord(template: Template, hand: Hand): Statement[] {
  if (hand.shift === hand.recordedShift) return [];
  hand.recordedShift = hand.shift;
  const meta = template.code.scope.region("frameMeta");
  const word = i32.add(template.dataWord.get, i32.const(hand.shift * DATA_WORD_SHIFT));
  return [
    i32Memory.store(hand.record.get, word, meta + DATA_WORD),
    i32Memory.store(hand.record.get, bytesNow(template, hand), meta + META32.packetBytes * 4),
  ];
}

/** Bytes of the packet in hand, before a cut. */
export const bytesNow = (template: Template, hand: Hand): I32 =>
  i32.sub(template.packetBytes.get, i32.const(hand.shift));

/** Takes the cut off a packet in one frame. */
export function truncate(template: Template, hand: Hand, cut: Cut): Statement[] {
  if (cut === null) return [];
  const meta = template.code.scope.region("frameMeta");
  const { record } = hand;
  const subtract = (offset: number, bytes: I32): Statement =>
    i32Memory.store(record.get, i32.sub(i32Memory.load(record.get, meta + offset), bytes), meta + offset);
  return [
    ...writeRecord(template, hand),
    subtract(DATA_WORD, i32.shl(cut.get, i32.const(16))),
    subtract(META32.packetBytes * 4, cut.get),
  ];
}

/** The frame, as it is recorded by now, to a port. */
export function output(template: Template, frame: I32, portNo: I32): Statement[] {
  const { out } = template.code;
  template.most.outputs += 1;
  return [
    i32Memory.store(out.get, frame, ENGINE.outList + OUT_ENTRY.frame),
    i32Memory.store(out.get, portNo, ENGINE.outList + OUT_ENTRY.portNo),
    out.set(i32.add(out.get, i32.const(OUT_ENTRY_BYTES))),
  ];
}

/** The packet in hand, which is one frame, back to the frame stack. */
export function drop(template: Template, hand: Hand, reason: DropReason): Statement[] {
  template.most.drops += 1;
  template.guardSingleFrame();
  const { frameStack, frameStackCount } = template.code.scope.thread;
  const count = template.code.local("stackCount");
  return [
    count.set(i32Memory.load(frameStackCount)),
    i32Memory.store(i32.add(frameStack, i32.shl(count.get, i32.const(2))), hand.frame.get),
    i32Memory.store(frameStackCount, i32.add(count.get, i32.const(1))),
    ...writeOwner(template.code.scope, hand.record.get, "stackOwner"),
    countDrop(template.code.scope, reason),
  ];
}

/** The debug ledger follows frames to and from the stack. */
function writeOwner(scope: EmitScope, record: I32, owner: "stackOwner" | "heldOwner"): Statement[] {
  if (!scope.keepsLedger) return [];
  return [i32Memory.store(record, scope.thread[owner], scope.region("frameMeta") + META32.ledger * 4)];
}

/** A copy of the packet in hand, less the cut. It is a hand of its own, one level deeper. */
export function copyPacket(
  template: Template,
  hand: Hand,
  cut: Cut,
): { readonly copy: Hand; readonly statements: Statement[] } {
  template.most.copies += 1;
  template.guardSingleFrame();
  const record = writeRecord(template, hand);
  const copy = hand.copy();
  const bytes = bytesNow(template, hand);
  const clone = template.code.helper("act_clone", emitClone);
  const statements = [
    ...record,
    copy.frame.set(call("i32", clone, hand.frame.get, cut === null ? bytes : i32.sub(bytes, cut.get))),
    copy.record.set(i32.shl(copy.frame.get, i32.const(META_SHIFT))),
    copy.head.set(template.headOf(copy.frame.get)),
    addToCounter(template.code.scope, COUNTER.copied, i32.const(1)),
  ];
  return { copy, statements };
}

/** Ends the pass where the frame stack or the list of outputs might not do for one packet. */
export function guardRoom(template: Template): void {
  const { outputs, copies, drops } = template.most;
  const { out, outEnd, scope } = template.code;
  if (outputs > 0) {
    const needed = i32.add(out.get, i32.const(outputs * OUT_ENTRY_BYTES));
    template.guard("room for outputs", () => i32.gt_u(needed, outEnd.get));
  }
  const count = i32Memory.load(scope.thread.frameStackCount);
  if (copies > 0) template.guard("frames for copies", () => i32.lt_u(count, i32.const(copies)));
  if (drops > 0) {
    const most = i32.const(FRAME_STACK_CAPACITY - drops);
    template.guard("room on the stack", () => i32.gt_u(count, most));
  }
}

/**
 * act_clone(frame, bytes) -> frame: the first bytes of a packet in one frame, in a frame off the stack, which is not
 * empty, with the same headroom, flags and port.
 */
function emitClone(scope: EmitScope): FunctionEntry {
  const meta = scope.region("frameMeta");
  const frameShift = Math.log2(scope.arena.plan.sizes.frameBytes);
  const { frameStack, frameStackCount } = scope.thread;
  const copyBytes = emitCopyBytes(scope);
  return emitFunction(
    scope.module,
    "act_clone",
    { frame: "i32", bytes: "i32" },
    ["i32"],
    ({ params: { frame, bytes }, locals }) => {
      const copy = locals.i32("copy");
      const count = locals.i32("count");
      const from = locals.i32("from");
      const to = locals.i32("to");
      const head = i32.add(
        i32.const(scope.region("frames")),
        i32Memory.load16_u(from.get, meta + DATA_OFFSET),
      );
      const dataOf = (of: LocalI32): I32 => i32.add(i32.shl(of.get, i32.const(frameShift)), head);
      const field = (offset: number, value: I32): Statement => i32Memory.store(to.get, value, meta + offset);
      const same = (offset: number): Statement => field(offset, i32Memory.load(from.get, meta + offset));
      return [
        count.set(i32.sub(i32Memory.load(frameStackCount), i32.const(1))),
        i32Memory.store(frameStackCount, count.get),
        copy.set(i32Memory.load(i32.add(frameStack, i32.shl(count.get, i32.const(2))))),
        from.set(i32.shl(frame.get, i32.const(META_SHIFT))),
        to.set(i32.shl(copy.get, i32.const(META_SHIFT))),
        ...writeOwner(scope, to.get, "heldOwner"),
        same(DATA_OFFSET),
        i32Memory.store16(to.get, bytes.get, meta + DATA_BYTES),
        field(META32.nextFrame * 4, i32.const(NO_FRAME)),
        field(META32.packetBytes * 4, bytes.get),
        same(META16.segmentCount * 2),
        same(META16.csumStart * 2),
        same(META32.portNo * 4),
        callStatement(copyBytes, dataOf(copy), dataOf(frame), bytes.get),
        ret(copy.get),
      ];
    },
  );
}

/** act_copy_bytes(target, source, bytes): as intrinsics.copy, sixteen bytes at a time. */
function emitCopyBytes(scope: EmitScope): FunctionEntry {
  return emitFunction(
    scope.module,
    "act_copy_bytes",
    { target: "i32", source: "i32", bytes: "i32" },
    [],
    ({ params: { target, source, bytes }, locals }) => {
      const last = locals.i32("last");
      const LANE = i32.const(16);
      const isOdd = i32.or(
        i32.lt_u(bytes.get, LANE),
        i32.gt_u(bytes.get, i32.const(COPY_BYTES_BY_LANES_MAX)),
      );
      return [
        ifElse(isOdd, [memoryCopy(target.get, source.get, bytes.get), ret()]),
        // The last sixteen bytes first; the loop may then stop short of them.
        last.set(i32.sub(i32.add(source.get, bytes.get), LANE)),
        v128Memory.store(i32.sub(i32.add(target.get, bytes.get), LANE), v128Memory.load(last.get)),
        loop("next", (next) => [
          v128Memory.store(target.get, v128Memory.load(source.get)),
          target.set(i32.add(target.get, LANE)),
          source.set(i32.add(source.get, LANE)),
          brIf(next, i32.lt_u(source.get, last.get)),
        ]),
      ];
    },
  );
}
