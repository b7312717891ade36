// The traffic of one benchmark in one thread: the frames that its port receives over and over, the buffers that they
// are copied into, and the comparison of outputs. In the arena: a block (memory/queue-layout.ts, MEMORY_TRAFFIC), the
// sources, and their lengths as 32-bit words.
//
// Per packet: one place of the queue of buffers, at each end.
import type { Arena } from "../memory/arena.ts";
import { FRAME_HEADROOM_BYTES } from "../memory/frame-layout.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import {
  MEMORY_BUFFERS_MAX,
  MEMORY_BUFFERS_MIN,
  MEMORY_SOURCE_ALIGN,
  MEMORY_TRAFFIC,
} from "../memory/queue-layout.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const BUFFERS_MAX = MEMORY_BUFFERS_MAX;
const BUFFERS_MIN = MEMORY_BUFFERS_MIN;
const QUEUE_MASK = MEMORY_BUFFERS_MAX - 1;
const HEAD = MEMORY_TRAFFIC.head / 4;
const COUNT = MEMORY_TRAFFIC.count / 4;
const UNTIL_CHECK = MEMORY_TRAFFIC.untilCheck / 4;
const BUFFERS = MEMORY_TRAFFIC.buffers / 4;
const SOURCES_OFFSET = MEMORY_TRAFFIC.buffers + MEMORY_BUFFERS_MAX * 4;
/**
 * One output in so many, about 10,000, is compared with what the reference made of the same frames. A prime, so that it
 * is not always the same frame.
 */
export const CHECK_INTERVAL = 9_973;

/** A source frame's place. */
const sourceBytes = (frame: Uint8Array): number =>
  Math.ceil(frame.length / MEMORY_SOURCE_ALIGN) * MEMORY_SOURCE_ALIGN;

export const outputText = (portNo: number, bytes: Uint8Array): string =>
  `${portNo}/${Buffer.from(bytes).toString("hex")}`;

export class MemoryTraffic {
  readonly frames: readonly Uint8Array[];
  /** Outputs that the reference makes of the frames, as `port/hex`; null: nothing is compared. */
  readonly expected: ReadonlySet<string> | null;
  /** Arena bytes that it takes. */
  readonly bytes: number;
  checkedCount = 0;
  wrongCount = 0;
  #address = 0;
  #block = 0;
  #i32: Int32Array = new Int32Array(0);

  constructor(frames: readonly Uint8Array[], expected: ReadonlySet<string> | null) {
    this.frames = frames;
    this.expected = expected;
    const lengthsBytes = frames.length * 4;
    this.bytes = SOURCES_OFFSET + frames.reduce((sum, frame) => sum + sourceBytes(frame), 0) + lengthsBytes;
  }

  /** Arena address of the block, 0 before the first queue was opened. */
  get address(): number {
    return this.#address;
  }

  /**
   * Control path: lays everything out at `address`, a multiple of 64, the first time.
   * @throws RangeError when a frame is longer than a buffer holds
   */
  place(arena: Arena, address: number): void {
    if (this.#address !== 0) return;
    const roomBytes = arena.plan.sizes.frameBytes - FRAME_HEADROOM_BYTES;
    const long = this.frames.findIndex(({ length }) => length > roomBytes);
    if (long >= 0) {
      throw new RangeError(
        `memory port: frame ${long + 1} is ${this.frames[long]!.length} bytes long, a buffer holds ${roomBytes}; leave it out`,
      );
    }
    this.#address = address;
    this.#block = address >>> 2;
    this.#i32 = arena.i32;
    arena.u8.fill(0, address, address + this.bytes);
    const sourcesStart = address + SOURCES_OFFSET;
    const lengthsEnd = address + this.bytes;
    const lengthsStart = lengthsEnd - this.frames.length * 4;
    let source = sourcesStart;
    for (const [index, frame] of this.frames.entries()) {
      arena.u8.set(frame, source);
      arena.u32[(lengthsStart >>> 2) + index] = frame.length;
      source += sourceBytes(frame);
    }
    const words = {
      untilCheck: CHECK_INTERVAL,
      source: sourcesStart,
      length: lengthsStart,
      sourcesStart,
      lengthsStart,
      lengthsEnd,
    };
    for (const [name, value] of Object.entries(words))
      arena.u32[this.#block + MEMORY_TRAFFIC[name as keyof typeof words] / 4] = value;
  }

  /**
   * Writes up to `limit` buffers at index `at` of the arena's 32-bit views and returns how many: those that were given
   * back longest ago; free frames of the pool until the queue is long enough.
   */
  takeBuffers(at: number, limit: number, pool: FramePool): number {
    const i32 = this.#i32;
    const block = this.#block;
    const count = i32[block + COUNT]!;
    if (count < BUFFERS_MIN) {
      const taken = pool.takeBurst(at, limit);
      if (taken > 0) return taken;
    }
    const head = i32[block + HEAD]!;
    const taken = Math.min(limit, count);
    for (let index = 0; index < taken; index = (index + 1) | 0) {
      i32[(at + index) | 0] = i32[block + BUFFERS + ((head + index) & QUEUE_MASK)]!;
    }
    i32[block + HEAD] = (head + taken) & QUEUE_MASK;
    i32[block + COUNT] = (count - taken) | 0;
    return taken;
  }

  giveBuffer(frame: number, pool: FramePool): void {
    const i32 = this.#i32;
    const block = this.#block;
    const count = i32[block + COUNT]!;
    if (count === BUFFERS_MAX) {
      pool.free(frame);
      return;
    }
    i32[block + BUFFERS + ((i32[block + HEAD]! + count) & QUEUE_MASK)] = frame;
    i32[block + COUNT] = (count + 1) | 0;
  }

  /** Control path: every buffer goes back to the pool. After the queues' last burst. */
  giveBack(pool: FramePool): void {
    const i32 = this.#i32;
    const block = this.#block;
    for (; i32[block + COUNT]! > 0; i32[block + COUNT]! -= 1) {
      const head = i32[block + HEAD]!;
      pool.free(i32[block + BUFFERS + head]!);
      i32[block + HEAD] = (head + 1) & QUEUE_MASK;
    }
  }

  /** Counts an output; true for one in CHECK_INTERVAL. */
  isCheckDue(): boolean {
    const left = (this.#i32[this.#block + UNTIL_CHECK]! - 1) | 0;
    this.#i32[this.#block + UNTIL_CHECK] = left === 0 ? CHECK_INTERVAL : left;
    return left === 0;
  }

  check(portNo: number, bytes: Uint8Array): void {
    if (this.expected === null) return;
    this.checkedCount += 1;
    if (!this.expected.has(outputText(portNo, bytes))) this.wrongCount += 1;
  }
}
