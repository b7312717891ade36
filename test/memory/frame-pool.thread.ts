// A thread of frame-pool.test.ts: receives frames and hands them on (source), or takes and frees them (sink).
import { NO_FRAME } from "../../src/memory/frame-layout.ts";
import { ownerWord } from "../../src/memory/frame-ledger.ts";
import { FramePool } from "../../src/memory/frame-pool.ts";
import { RingConsumer, RingProducer } from "../../src/ring/spsc-ring.ts";
import { runThread } from "../support/threads.ts";

export interface PoolThreadOptions {
  readonly threadIndex: number;
  /** Where the thread gets frames: its own pool, or a ring. */
  readonly from: number | null;
  /** Where they go: back to its pool, or into a ring. */
  readonly to: number | null;
  readonly ringEntries: number;
  readonly frameCount: number;
}

runThread<PoolThreadOptions>(({ arena, options, stopping }) => {
  const pool = new FramePool(arena, options.threadIndex, true);
  const held = ownerWord("held", options.threadIndex);
  const source = options.from === null ? null : new RingConsumer(arena, options.from, options.ringEntries);
  const target = options.to === null ? null : new RingProducer(arena, options.to, options.ringEntries);
  let done = 0;
  let refused = 0;
  while (done < options.frameCount && !stopping()) {
    if (source !== null && source.available() === 0) continue;
    if (target !== null && target.free(1) === 0) continue;
    const frame = source === null ? pool.alloc() : source.take();
    if (frame === NO_FRAME) {
      refused += 1;
      continue;
    }
    if (source !== null) pool.ledger!.move(frame, ownerWord("ring", options.from!), held);
    if (target === null) {
      pool.free(frame);
    } else {
      pool.ledger!.move(frame, held, ownerWord("ring", options.to!));
      target.put(frame);
      target.publish();
    }
    source?.release();
    done += 1;
  }
  pool.drain();
  return { done, refused };
});
