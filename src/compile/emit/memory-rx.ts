// Receiving from memory: the compiled MemoryRxQueue (perf/memory-port.ts) over the traffic's block (memory/queue-layout.ts).
//
// Two passes over the burst: the first names the buffers, the second copies and describes.
import { FRAME_HEADROOM_BYTES } from "../../memory/frame-layout.ts";
import {
  MEMORY_BUFFERS_MAX,
  MEMORY_BUFFERS_MIN,
  MEMORY_SOURCE_ALIGN,
  MEMORY_TRAFFIC,
} from "../../memory/queue-layout.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import { brIf, ifElse, loop, ret } from "../ops/control.ts";
import type { I32, Statement } from "../ops/expression.ts";
import { emitFunction, type Local, type Locals } from "../ops/function.ts";
import { i32Memory, v128Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import { count } from "./counters.ts";
import { coldHalf, hotHalf, hotHalfOf, recordOffset, storeColdHalf, storeHotHalf } from "./frame-record.ts";
import type { EmitScope } from "./scope.ts";

/** Frames of this length are copied by four loads and stores: the shortest that Ethernet has, and what benchmarks send. */
const SHORT_FRAME_BYTES = 64;
const VECTOR_BYTES = 16;

interface RxLocals {
  readonly traffic: Local<"i32">;
  /** The burst's part of the frame column, and where a pass is in it. */
  readonly frames: Local<"i32">;
  readonly end: Local<"i32">;
  readonly at: Local<"i32">;
  readonly limit: Local<"i32">;
}

/**
 * `memory_rx(parameters, frames, limit) -> count`: as rxBurst, with `frames` a byte address and `limit` at least 1. -1,
 * and nothing done, when frames have to come from the reserve: then the queue receives this burst itself.
 */
export function emitMemoryRx(scope: EmitScope): FunctionEntry {
  return emitFunction(
    scope.module,
    "memory_rx",
    { traffic: "i32", frames: "i32", limit: "i32" },
    ["i32"],
    ({ params, locals }) => {
      const rx: RxLocals = { ...params, end: locals.i32("end"), at: locals.i32("at") };
      return [
        rx.end.set(i32.add(rx.frames.get, i32.shl(rx.limit.get, i32.const(2)))),
        ifElse(
          i32.lt_u(i32Memory.load(rx.traffic.get, MEMORY_TRAFFIC.count), i32.const(MEMORY_BUFFERS_MIN)),
          takeFromStack(scope, locals, rx),
          takeOldest(locals, rx),
        ),
        ...fillBuffers(scope, locals, rx),
        ret(rx.limit.get),
      ];
    },
  );
}

/** One pass over the burst's frames. */
const pass = (name: string, { frames, at, end }: RxLocals, body: readonly Statement[]): Statement[] => [
  at.set(frames.get),
  loop(name, (next) => [...body, brIf(next, i32.ne(at.tee(i32.add(at.get, i32.const(4))), end.get))]),
];

/** Free frames of the thread, the one freed last first. */
function takeFromStack({ thread }: EmitScope, locals: Locals, rx: RxLocals): Statement[] {
  const left = locals.i32("stack_left");
  const top = locals.i32("stack_top");
  return [
    left.set(i32.sub(i32Memory.load(thread.frameStackCount), rx.limit.get)),
    ifElse(i32.lt_s(left.get, i32.const(0)), [ret(i32.const(-1))]),
    top.set(i32.add(thread.frameStack, i32.shl(i32Memory.load(thread.frameStackCount), i32.const(2)))),
    i32Memory.store(thread.frameStackCount, left.get),
    ...pass("take_free", rx, [
      i32Memory.store(rx.at.get, i32Memory.load(top.tee(i32.sub(top.get, i32.const(4))))),
    ]),
  ];
}

/** The buffers that were given back longest ago. */
function takeOldest(locals: Locals, rx: RxLocals): Statement[] {
  const { traffic } = rx;
  const head = locals.i32("head");
  const place = i32.shl(head.get, i32.const(2));
  return [
    head.set(i32Memory.load(traffic.get, MEMORY_TRAFFIC.head)),
    ...pass("take_oldest", rx, [
      i32Memory.store(rx.at.get, i32Memory.load(i32.add(traffic.get, place), MEMORY_TRAFFIC.buffers)),
      head.set(i32.and(i32.add(head.get, i32.const(1)), i32.const(MEMORY_BUFFERS_MAX - 1))),
    ]),
    i32Memory.store(traffic.get, head.get, MEMORY_TRAFFIC.head),
    i32Memory.store(
      traffic.get,
      i32.sub(i32Memory.load(traffic.get, MEMORY_TRAFFIC.count), rx.limit.get),
      MEMORY_TRAFFIC.count,
    ),
  ];
}

const bufferOffset = (scope: EmitScope, frame: I32): I32 =>
  i32.mul(frame, i32.const(scope.arena.plan.sizes.frameBytes));

/** Copies the next frames in and writes their records. */
function fillBuffers(scope: EmitScope, locals: Locals, rx: RxLocals): Statement[] {
  const { traffic } = rx;
  const [source, lengthAt, length, bytes] = ["source", "length_at", "length", "bytes"].map((name) =>
    locals.i32(name),
  ) as [Local<"i32">, Local<"i32">, Local<"i32">, Local<"i32">];
  const frame = locals.i32("frame");
  const target = locals.i32("target");
  const record = locals.i32("record");
  const cold = locals.add("cold_half", "v128");
  const word = (offset: number): I32 => i32Memory.load(traffic.get, offset);
  return [
    source.set(word(MEMORY_TRAFFIC.source)),
    lengthAt.set(word(MEMORY_TRAFFIC.length)),
    cold.set(coldHalf(word(MEMORY_TRAFFIC.rxPortNo))),
    ...pass("fill", rx, [
      frame.set(i32Memory.load(rx.at.get)),
      target.set(bufferOffset(scope, frame.get)),
      record.set(recordOffset(frame.get)),
      length.set(i32Memory.load(lengthAt.get)),
      ifElse(
        i32.eq(length.get, i32.const(SHORT_FRAME_BYTES)),
        [
          ...copyVectors(target, source, scope.region("frames") + FRAME_HEADROOM_BYTES, SHORT_FRAME_BYTES),
          storeHotHalf(scope, record.get, hotHalf(FRAME_HEADROOM_BYTES, SHORT_FRAME_BYTES)),
        ],
        [
          ...copyAny(locals, target, source, length, scope.region("frames") + FRAME_HEADROOM_BYTES),
          storeHotHalf(scope, record.get, hotHalfOf(i32.const(FRAME_HEADROOM_BYTES), length.get)),
        ],
      ),
      storeColdHalf(scope, record.get, cold.get),
      bytes.set(i32.add(bytes.get, length.get)),
      source.set(
        i32.add(
          source.get,
          i32.and(i32.add(length.get, i32.const(MEMORY_SOURCE_ALIGN - 1)), i32.const(-MEMORY_SOURCE_ALIGN)),
        ),
      ),
      lengthAt.set(i32.add(lengthAt.get, i32.const(4))),
      ifElse(i32.eq(lengthAt.get, word(MEMORY_TRAFFIC.lengthsEnd)), [
        source.set(word(MEMORY_TRAFFIC.sourcesStart)),
        lengthAt.set(word(MEMORY_TRAFFIC.lengthsStart)),
      ]),
    ]),
    i32Memory.store(traffic.get, source.get, MEMORY_TRAFFIC.source),
    i32Memory.store(traffic.get, lengthAt.get, MEMORY_TRAFFIC.length),
    count(word(MEMORY_TRAFFIC.rxPackets), rx.limit.get),
    count(word(MEMORY_TRAFFIC.rxBytes), bytes.get),
  ];
}

function copyVectors(target: Local<"i32">, source: Local<"i32">, at: number, bytes: number): Statement[] {
  return Array.from({ length: bytes / VECTOR_BYTES }, (_, index) =>
    v128Memory.store(
      target.get,
      v128Memory.load(source.get, index * VECTOR_BYTES),
      at + index * VECTOR_BYTES,
    ),
  );
}

/**
 * Sixteen bytes at a time, the last ones by a store that overlaps the one before: nothing behind the frame's end is
 * written. A frame shorter than that has room behind it in its buffer.
 */
function copyAny(
  locals: Locals,
  target: Local<"i32">,
  source: Local<"i32">,
  length: Local<"i32">,
  at: number,
): Statement[] {
  const done = locals.i32("done");
  const last = locals.i32("last");
  const copyAt = (position: I32): Statement =>
    v128Memory.store(i32.add(target.get, position), v128Memory.load(i32.add(source.get, position)), at);
  return [
    done.set(i32.const(0)),
    last.set(i32.sub(length.get, i32.const(VECTOR_BYTES))),
    loop("copy", (next) => [
      copyAt(done.get),
      brIf(next, i32.lt_s(done.tee(i32.add(done.get, i32.const(VECTOR_BYTES))), last.get)),
    ]),
    ifElse(i32.gt_s(last.get, i32.const(0)), [copyAt(last.get)]),
  ];
}
