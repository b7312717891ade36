// Receiving from AF_XDP: the compiled AfxdpRxQueue (port/afxdp/rx.ts) over the queue's block and the kernel's rings
// (memory/queue-layout.ts). Chains, frames out of the reserve and system calls are JavaScript's.
import { FRAME_META_BYTES, META32 } from "../../memory/frame-layout.ts";
import {
  AFXDP_ADDRESS_BYTES,
  AFXDP_CONTINUES,
  AFXDP_DESCRIPTOR,
  AFXDP_DESCRIPTOR_BYTES,
  AFXDP_REFILL_BATCH,
  AFXDP_RX,
} from "../../memory/queue-layout.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import { block, br, brIf, ifElse, loop, ret, select } from "../ops/control.ts";
import type { I32, Statement } from "../ops/expression.ts";
import { emitFunction, type Local, type Locals } from "../ops/function.ts";
import { i32Memory, i64Memory } from "../ops/memory.ts";
import { i32, i64 } from "../ops/numeric.ts";
import { count } from "./counters.ts";
import { coldHalf, hotHalfOf, recordOffset, storeColdHalf, storeHotHalf } from "./frame-record.ts";
import type { EmitScope } from "./scope.ts";

interface RxLocals {
  readonly queue: Local<"i32">;
  /** The burst's part of the frame column. */
  readonly frames: Local<"i32">;
  readonly limit: Local<"i32">;
  /** Index of the descriptor that is next. */
  readonly cursor: Local<"i32">;
}

/**
 * `afxdp_rx(parameters, frames, limit) -> count`: as rxBurst, with `frames` a byte address. -1, and nothing done, when the
 * queue has to receive this burst itself: a chain comes first, the driver wants to be woken, or frames are missing in the
 * fill ring that the thread's stack does not have.
 */
export function emitAfxdpRx(scope: EmitScope): FunctionEntry {
  return emitFunction(
    scope.module,
    "afxdp_rx",
    { queue: "i32", frames: "i32", limit: "i32" },
    ["i32"],
    ({ params, locals }) => {
      const rx: RxLocals = { ...params, cursor: locals.i32("cursor") };
      const received = locals.i32("received");
      return [
        rx.cursor.set(word(rx.queue, AFXDP_RX.consumer)),
        block("mine", (mine) => [
          block("javascript", (javascript) => [
            brIf(javascript, wantsWakeUp(rx.queue)),
            brIf(mine, i32.lt_s(missing(rx), i32.const(AFXDP_REFILL_BATCH))),
            brIf(mine, i32.ge_u(i32Memory.load(scope.thread.frameStackCount), i32.const(AFXDP_REFILL_BATCH))),
          ]),
          ret(i32.const(-1)),
        ]),
        ...receive(scope, locals, rx, received),
        ifElse(i32.ge_s(missing(rx), i32.const(AFXDP_REFILL_BATCH)), refill(scope, locals, rx)),
        ret(received.get),
      ];
    },
  );
}

const word = (queue: Local<"i32">, offset: number): I32 => i32Memory.load(queue.get, offset);

/** Frames that the kernel should have and does not have. */
const missing = ({ queue, cursor }: RxLocals): I32 =>
  i32.sub(word(queue, AFXDP_RX.fillPosted), i32.sub(word(queue, AFXDP_RX.fillProducer), cursor.get));

const wantsWakeUp = (queue: Local<"i32">): I32 =>
  i32.and(i32Memory.atomicLoad(word(queue, AFXDP_RX.fillRingFlags)), word(queue, AFXDP_RX.wakeMask));

/** Descriptors up to the limit, or to the first chain. */
function receive(scope: EmitScope, locals: Locals, rx: RxLocals, received: Local<"i32">): Statement[] {
  const { queue, frames, limit, cursor } = rx;
  const { frameBytes } = scope.arena.plan.sizes;
  const [producer, descriptor, address, frame, record, length, bytes] = [
    "producer",
    "descriptor",
    "address",
    "frame",
    "record",
    "length",
    "bytes",
  ].map((name) => locals.i32(name)) as [
    Local<"i32">,
    Local<"i32">,
    Local<"i32">,
    Local<"i32">,
    Local<"i32">,
    Local<"i32">,
    Local<"i32">,
  ];
  const cold = locals.add("cold_half", "v128");
  return [
    // Pairs with the kernel's release of the producer index: the descriptors before it are written.
    producer.set(i32Memory.atomicLoad(word(queue, AFXDP_RX.rxProducer))),
    cold.set(coldHalf(word(queue, AFXDP_RX.portNo))),
    block("received", (end) => [
      loop("descriptor", (next) => [
        brIf(end, i32.eq(cursor.get, producer.get)),
        brIf(end, i32.eq(received.get, limit.get)),
        descriptor.set(
          i32.add(
            word(queue, AFXDP_RX.descriptors),
            i32.mul(i32.and(cursor.get, word(queue, AFXDP_RX.ringMask)), i32.const(AFXDP_DESCRIPTOR_BYTES)),
          ),
        ),
        brIf(
          end,
          i32.and(i32Memory.load(descriptor.get, AFXDP_DESCRIPTOR.options), i32.const(AFXDP_CONTINUES)),
        ),
        address.set(i32Memory.load(descriptor.get, AFXDP_DESCRIPTOR.address)),
        length.set(i32Memory.load(descriptor.get, AFXDP_DESCRIPTOR.length)),
        frame.set(i32.shr_u(address.get, i32.const(Math.log2(frameBytes)))),
        record.set(recordOffset(frame.get)),
        storeHotHalf(
          scope,
          record.get,
          hotHalfOf(i32.and(address.get, i32.const(frameBytes - 1)), length.get),
        ),
        storeColdHalf(scope, record.get, cold.get),
        i32Memory.store(i32.add(frames.get, i32.shl(received.get, i32.const(2))), frame.get),
        bytes.set(i32.add(bytes.get, length.get)),
        received.set(i32.add(received.get, i32.const(1))),
        cursor.set(i32.add(cursor.get, i32.const(1))),
        br(next),
      ]),
    ]),
    ifElse(
      received.get,
      [
        i32Memory.store(queue.get, cursor.get, AFXDP_RX.consumer),
        // Pairs with the kernel's acquire of the consumer index: we have read the descriptors before it.
        i32Memory.atomicStore(word(queue, AFXDP_RX.rxConsumer), cursor.get),
        count(word(queue, AFXDP_RX.rxPackets), received.get),
        count(word(queue, AFXDP_RX.rxBytes), bytes.get),
      ],
      // Something is there, so it is a chain.
      [ifElse(i32.ne(cursor.get, producer.get), [ret(i32.const(-1))])],
    ),
  ];
}

/** Posts as many of the missing frames as the thread's stack has. */
function refill(scope: EmitScope, locals: Locals, rx: RxLocals): Statement[] {
  const { queue } = rx;
  const { thread } = scope;
  const frameBytes = scope.arena.plan.sizes.frameBytes;
  const producer = locals.i32("fill_producer");
  const end = locals.i32("fill_end");
  const top = locals.i32("stack_top");
  const frame = locals.i32("fill_frame");
  const entry = i32.add(
    word(queue, AFXDP_RX.fillAddresses),
    i32.mul(i32.and(producer.get, word(queue, AFXDP_RX.fillMask)), i32.const(AFXDP_ADDRESS_BYTES)),
  );
  const stackCount = i32Memory.load(thread.frameStackCount);
  return [
    top.set(missing(rx)),
    top.set(select(top.get, stackCount, i32.lt_u(top.get, stackCount))),
    ifElse(top.get, [
      producer.set(word(queue, AFXDP_RX.fillProducer)),
      end.set(i32.add(producer.get, top.get)),
      i32Memory.store(thread.frameStackCount, i32.sub(stackCount, top.get)),
      // From what was its top downwards.
      top.set(i32.add(thread.frameStack, i32.shl(i32.add(stackCount, top.get), i32.const(2)))),
      loop("post", (next) => [
        frame.set(i32Memory.load(top.tee(i32.sub(top.get, i32.const(4))))),
        i32Memory.store(
          i32.mul(frame.get, i32.const(FRAME_META_BYTES)),
          word(queue, AFXDP_RX.mark),
          scope.region("frameMeta") + META32.portNo * 4,
        ),
        i64Memory.store(entry, i64.extend_i32_u(i32.mul(frame.get, i32.const(frameBytes)))),
        brIf(next, i32.ne(producer.tee(i32.add(producer.get, i32.const(1))), end.get)),
      ]),
      i32Memory.store(queue.get, producer.get, AFXDP_RX.fillProducer),
      // Pairs with the kernel's acquire of the producer index: the addresses before it are written.
      i32Memory.atomicStore(word(queue, AFXDP_RX.fillRingProducer), producer.get),
    ]),
  ];
}
