// Transmitting to ports that only count: the memory port of benchmarks (CountingTxQueue in perf/memory-port.ts) and the
// null port (NullTxQueue in port/null/queues.ts).
import { TX_ROUTE } from "../../memory/engine-layout.ts";
import { FRAME_STACK_CAPACITY } from "../../memory/frame-layout.ts";
import { MEMORY_BUFFERS_MAX, MEMORY_TRAFFIC } from "../../memory/queue-layout.ts";
import { brIf } from "../ops/control.ts";
import type { I32 } from "../ops/expression.ts";
import type { Locals } from "../ops/function.ts";
import { i32Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import type { EmitScope } from "./scope.ts";
import type { RunLocals, TxKindCode } from "./transmit-kind.ts";

/** Gives the frame back to the benchmark's buffers. */
export function memoryKind(locals: Locals, { route, frame }: RunLocals): TxKindCode {
  const traffic = locals.i32("traffic");
  const place = locals.i32("place");
  const buffers = locals.i32("buffers");
  const untilCheck = locals.i32("until_check");
  const load = (word: number): I32 => i32Memory.load(traffic.get, word);
  return {
    begin: [
      traffic.set(i32Memory.load(route.get, TX_ROUTE.parameters)),
      buffers.set(load(MEMORY_TRAFFIC.count)),
      place.set(i32.add(load(MEMORY_TRAFFIC.head), buffers.get)),
      untilCheck.set(load(MEMORY_TRAFFIC.untilCheck)),
    ],
    put: (full) => [
      // The output that is to be checked, and the buffer that the queue has no room for, are JavaScript's.
      brIf(full, i32.eq(untilCheck.get, i32.const(1))),
      brIf(full, i32.eq(buffers.get, i32.const(MEMORY_BUFFERS_MAX))),
      i32Memory.store(
        i32.add(traffic.get, i32.shl(i32.and(place.get, i32.const(MEMORY_BUFFERS_MAX - 1)), i32.const(2))),
        frame.get,
        MEMORY_TRAFFIC.buffers,
      ),
      place.set(i32.add(place.get, i32.const(1))),
      buffers.set(i32.add(buffers.get, i32.const(1))),
      untilCheck.set(i32.sub(untilCheck.get, i32.const(1))),
    ],
    end: [
      i32Memory.store(traffic.get, buffers.get, MEMORY_TRAFFIC.count),
      i32Memory.store(traffic.get, untilCheck.get, MEMORY_TRAFFIC.untilCheck),
    ],
  };
}

/** Frees the frame. */
export function nullKind({ thread }: EmitScope, locals: Locals, { frame }: RunLocals): TxKindCode {
  const stackCount = locals.i32("stack_count");
  return {
    begin: [stackCount.set(i32Memory.load(thread.frameStackCount))],
    put: (full) => [
      // A full stack gives a bundle to the reserve first: JavaScript's.
      brIf(full, i32.eq(stackCount.get, i32.const(FRAME_STACK_CAPACITY))),
      i32Memory.store(i32.add(thread.frameStack, i32.shl(stackCount.get, i32.const(2))), frame.get),
      stackCount.set(i32.add(stackCount.get, i32.const(1))),
    ],
    end: [i32Memory.store(thread.frameStackCount, stackCount.get)],
  };
}
