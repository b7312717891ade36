// One side of a ring between two threads. Entry n holds numbers that follow from n alone, so that the consumer knows
// what every word must be; it throws at the first that is not.
import type { Arena } from "../../src/memory/arena.ts";
import { RecordConsumer, RecordProducer } from "../../src/ring/record-ring.ts";
import { RingConsumer, RingProducer } from "../../src/ring/spsc-ring.ts";
import { runThread } from "../support/threads.ts";

export interface RingThreadOptions {
  readonly kind: "words" | "records";
  readonly role: "produce" | "consume";
  readonly offset: number;
  /** Entries of a word ring, bytes of a record ring. */
  readonly entries: number;
  readonly words: number;
  readonly count: number;
}

const wordOf = (entry: number, word: number): number => Math.imul(entry, 0x9e3779b1) + word * 77 + entry;
/** Multiples of four, so that records are compared by words; some long enough to skip at the ring's end. */
const recordWords = (record: number): number =>
  (Math.imul(record, 2654435761) >>> 24) % (record % 50 === 0 ? 250 : 20);

function produceWords(
  arena: Arena,
  { offset, entries, words, count }: RingThreadOptions,
  stop: () => boolean,
): number {
  const ring = new RingProducer(arena, offset, entries, words);
  let done = 0;
  while (done < count && !stop()) {
    for (let burst = 0; burst < 32 && done < count && ring.free(1) > 0; burst += 1) {
      const slot = ring.slot();
      for (let word = 0; word < words; word += 1) arena.i32[slot + word] = wordOf(done, word);
      ring.advance();
      done += 1;
    }
    ring.publish();
  }
  return done;
}

function consumeWords(
  arena: Arena,
  { offset, entries, words, count }: RingThreadOptions,
  stop: () => boolean,
): number {
  const ring = new RingConsumer(arena, offset, entries, words);
  let done = 0;
  while (done < count && !stop()) {
    for (let left = Math.min(ring.available(), 32); left > 0; left -= 1) {
      const slot = ring.slot();
      for (let word = 0; word < words; word += 1) {
        if (arena.i32[slot + word] !== (wordOf(done, word) | 0))
          throw new Error(`entry ${done}, word ${word} is wrong`);
      }
      ring.advance();
      done += 1;
    }
    ring.release();
  }
  return done;
}

function produceRecords(
  arena: Arena,
  { offset, entries, count }: RingThreadOptions,
  stop: () => boolean,
): number {
  const ring = new RecordProducer(arena, offset, entries);
  let done = 0;
  while (done < count && !stop()) {
    for (let burst = 0; burst < 8 && done < count; burst += 1) {
      const words = recordWords(done);
      const at = ring.reserve(words * 4);
      if (at === 0) break;
      for (let word = 0; word < words; word += 1) arena.i32[(at >>> 2) + word] = wordOf(done, word);
      done += 1;
    }
    ring.publish();
  }
  return done;
}

function consumeRecords(
  arena: Arena,
  { offset, entries, count }: RingThreadOptions,
  stop: () => boolean,
): number {
  const ring = new RecordConsumer(arena, offset, entries);
  let done = 0;
  while (done < count && !stop()) {
    for (let at = ring.next(); at !== 0; at = done % 8 === 0 ? 0 : ring.next()) {
      const words = recordWords(done);
      if (ring.recordBytes(at) !== words * 4)
        throw new Error(`record ${done} has ${ring.recordBytes(at)} bytes`);
      for (let word = 0; word < words; word += 1) {
        if (arena.i32[(at >>> 2) + word] !== (wordOf(done, word) | 0))
          throw new Error(`record ${done} is wrong`);
      }
      done += 1;
    }
    ring.release();
  }
  return done;
}

runThread<RingThreadOptions>(({ arena, options, stopping }) => {
  if (options.kind === "words") {
    return options.role === "produce"
      ? produceWords(arena, options, stopping)
      : consumeWords(arena, options, stopping);
  }
  return options.role === "produce"
    ? produceRecords(arena, options, stopping)
    : consumeRecords(arena, options, stopping);
});
