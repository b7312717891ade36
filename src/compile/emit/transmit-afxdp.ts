// Transmitting to AF_XDP: the compiled AfxdpTxQueue.put and #reap (port/afxdp/tx.ts) over the queue's block and the kernel's
// rings (memory/queue-layout.ts). Publishing and the system call are the flush's.
import { TX_ROUTE } from "../../memory/engine-layout.ts";
import { FRAME_META_BYTES, FRAME_STACK_CAPACITY, META16, META32 } from "../../memory/frame-layout.ts";
import {
  AFXDP_ADDRESS_BYTES,
  AFXDP_DESCRIPTOR,
  AFXDP_DESCRIPTOR_BYTES,
  AFXDP_LEFT_TO_CODE,
  AFXDP_TX,
  AFXDP_TX_BYTES_MIN,
} from "../../memory/queue-layout.ts";
import { block, brIf, ifElse, loop } from "../ops/control.ts";
import type { I32, Statement } from "../ops/expression.ts";
import type { Local, Locals } from "../ops/function.ts";
import { i32Memory, i64Memory } from "../ops/memory.ts";
import { i32, i64 } from "../ops/numeric.ts";
import type { EmitScope } from "./scope.ts";
import type { RunLocals, TxKindCode } from "./transmit-kind.ts";

/** Takes the completions that are there, then one descriptor a packet as long as the ring has room. */
export function afxdpKind(
  scope: EmitScope,
  locals: Locals,
  { route, frame, record, packetBytes }: RunLocals,
): TxKindCode {
  const queue = locals.i32("queue");
  const staged = locals.i32("staged");
  const descriptor = locals.i32("descriptor");
  const meta = scope.region("frameMeta");
  const word = (offset: number): I32 => i32Memory.load(queue.get, offset);
  return {
    begin: [
      queue.set(i32Memory.load(route.get, TX_ROUTE.parameters)),
      ...reap(scope, locals, queue),
      i32Memory.store(queue.get, i32.const(AFXDP_LEFT_TO_CODE), AFXDP_TX.leftToCode),
      staged.set(word(AFXDP_TX.staged)),
    ],
    put: (full) => [
      brIf(full, i32.lt_u(packetBytes.get, i32.const(AFXDP_TX_BYTES_MIN))),
      brIf(full, i32.gt_u(i32.sub(staged.get, word(AFXDP_TX.consumed)), word(AFXDP_TX.ringMask))),
      descriptor.set(
        i32.add(
          word(AFXDP_TX.descriptors),
          i32.mul(i32.and(staged.get, word(AFXDP_TX.ringMask)), i32.const(AFXDP_DESCRIPTOR_BYTES)),
        ),
      ),
      i64Memory.store(
        descriptor.get,
        i64.extend_i32_u(
          i32.add(
            i32.mul(frame.get, i32.const(scope.arena.plan.sizes.frameBytes)),
            i32Memory.load16_u(record.get, meta + META16.dataOffset * 2),
          ),
        ),
        AFXDP_DESCRIPTOR.address,
      ),
      // The length, and options 0 behind it.
      i64Memory.store(descriptor.get, i64.extend_i32_u(packetBytes.get), AFXDP_DESCRIPTOR.length),
      i32Memory.store(record.get, word(AFXDP_TX.mark), meta + META32.portNo * 4),
      staged.set(i32.add(staged.get, i32.const(1))),
      i32Memory.store(queue.get, staged.get, AFXDP_TX.staged),
    ],
    end: [],
  };
}

/** Frees what the kernel is done with, as far as the thread's stack has room. */
function reap(scope: EmitScope, locals: Locals, queue: Local<"i32">): Statement[] {
  const { thread, arena } = scope;
  const cursor = locals.i32("completion");
  const producer = locals.i32("completion_end");
  const stackCount = locals.i32("free_count");
  const frame = locals.i32("done_frame");
  const word = (offset: number): I32 => i32Memory.load(queue.get, offset);
  const address = i32Memory.load(
    i32.add(
      word(AFXDP_TX.completions),
      i32.mul(i32.and(cursor.get, word(AFXDP_TX.ringMask)), i32.const(AFXDP_ADDRESS_BYTES)),
    ),
  );
  return [
    cursor.set(word(AFXDP_TX.completed)),
    // Pairs with the kernel's release of the producer index: the addresses before it are written.
    producer.set(i32Memory.atomicLoad(word(AFXDP_TX.completionProducer))),
    ifElse(i32.ne(cursor.get, producer.get), [
      stackCount.set(i32Memory.load(thread.frameStackCount)),
      block("reaped", (end) => [
        loop("completion", (next) => [
          brIf(end, i32.eq(stackCount.get, i32.const(FRAME_STACK_CAPACITY))),
          frame.set(i32.shr_u(address, i32.const(Math.log2(arena.plan.sizes.frameBytes)))),
          i32Memory.store(
            i32.mul(frame.get, i32.const(FRAME_META_BYTES)),
            i32.const(0),
            scope.region("frameMeta") + META32.portNo * 4,
          ),
          i32Memory.store(i32.add(thread.frameStack, i32.shl(stackCount.get, i32.const(2))), frame.get),
          stackCount.set(i32.add(stackCount.get, i32.const(1))),
          brIf(next, i32.ne(cursor.tee(i32.add(cursor.get, i32.const(1))), producer.get)),
        ]),
      ]),
      i32Memory.store(thread.frameStackCount, stackCount.get),
      i32Memory.store(queue.get, cursor.get, AFXDP_TX.completed),
      // Pairs with the kernel's acquire of the consumer index: we have read the addresses before it.
      i32Memory.atomicStore(word(AFXDP_TX.completionConsumer), cursor.get),
    ]),
  ];
}
