// The record ring against an array: records of any length up to half of the ring, from any start; then two threads.
import fc from "fast-check";
import t from "tap";
import { RecordConsumer, RecordProducer } from "../../src/ring/record-ring.ts";
import { runs } from "../support/seed.ts";
import { Threads } from "../support/threads.ts";
import { createRingArena, RING_STARTS, startAt } from "./model.ts";
import type { RingThreadOptions } from "./ring.thread.ts";

const arena = createRingArena();
const offset = arena.region("kernelRings").offset;
const CAPACITY = 1024;
const THREAD = new URL("./ring.thread.js", import.meta.url);
const RECORDS = 300_000;

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("put" as const), bytes: fc.nat(CAPACITY / 2 + 16) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("put" as const), bytes: fc.nat(60) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom("publish" as const, "take" as const, "release" as const, "die" as const),
      bytes: fc.constant(16),
    }),
  },
);

t.test("against an array", async (t) => {
  fc.assert(
    fc.property(fc.constantFrom(...RING_STARTS), fc.array(step, { maxLength: 200 }), (start, steps) => {
      startAt(arena, offset, start);
      let producer = new RecordProducer(arena, offset, CAPACITY);
      const consumer = new RecordConsumer(arena, offset, CAPACITY);
      let staged: Uint8Array[] = [];
      let published: Uint8Array[] = [];
      let taken = 0;
      let stamp = 0;
      for (const { do: what, bytes } of steps) {
        if (what === "put") {
          const at = producer.reserve(bytes);
          const empty = staged.length + published.length + taken === 0;
          if (bytes > producer.recordBytesMax && at !== 0) return false;
          if (bytes <= producer.recordBytesMax && empty && at === 0) return false;
          if (at === 0) continue;
          if (at % 8 !== 0) return false;
          stamp += 1;
          const record = Uint8Array.from({ length: bytes }, (_, index) => (stamp * 7 + index) & 0xff);
          arena.u8.set(record, at);
          producer.commit();
          staged.push(record);
        } else if (what === "publish") {
          if (producer.publish() !== staged.length > 0) return false;
          published = published.concat(staged);
          staged = [];
        } else if (what === "take") {
          const at = consumer.next();
          const record = published.shift();
          if ((at === 0) !== (record === undefined)) return false;
          if (record === undefined) continue;
          const got = arena.u8.subarray(at, at + consumer.recordBytes(at));
          if (Buffer.compare(got, record) !== 0) return false;
          taken += 1;
        } else if (what === "die") {
          // In the middle of a record: its successor has those that were whole, published or not.
          producer.reserve(bytes);
          producer = new RecordProducer(arena, offset, CAPACITY);
        } else {
          consumer.release();
          taken = 0;
        }
      }
      return true;
    }),
    runs(1500),
  );
  t.pass("every schedule");
});

t.test("records between two threads, in order and whole", async (t) => {
  startAt(arena, offset, 0xffff_0000);
  const threads = new Threads(t, arena);
  for (const role of ["produce", "consume"] as const) {
    const options: RingThreadOptions = {
      kind: "records",
      role,
      offset,
      entries: 1 << 16,
      words: 0,
      count: RECORDS,
    };
    threads.add(THREAD, options);
  }
  await threads.go();
  t.strictSame(await threads.results(), [RECORDS, RECORDS]);
});
