// Epochs: what was retired is freed exactly when every online reader stands at its epoch or later; random schedules of
// readers and a writer against a model, with epochs that start just before they wrap.
import fc from "fast-check";
import t from "tap";
import { Arena } from "../../src/memory/arena.ts";
import { EpochReader, EpochWriter } from "../../src/memory/epoch.ts";
import { DEFAULT_SIZES, threadCount } from "../../src/memory/region-plan.ts";
import { GLOBAL, OFFLINE } from "../../src/memory/thread-block.ts";
import { runs } from "../support/seed.ts";

const sizes = { ...DEFAULT_SIZES, workerCount: 2, frameCount: 64, flowCountMax: 1, kernelRingBytes: 0 };
const arena = Arena.create(sizes);
const globalWord = (arena.region("globals").offset + GLOBAL.epoch) >>> 2;

function start(epoch: number): { writer: EpochWriter; readers: EpochReader[] } {
  const writer = new EpochWriter(arena);
  writer.initialise();
  arena.i32[globalWord] = epoch;
  return {
    writer,
    readers: Array.from({ length: threadCount(sizes) }, (_, index) => new EpochReader(arena, index)),
  };
}

const step = fc.oneof(
  fc.record({ do: fc.constantFrom("quiesce" as const, "offline" as const), reader: fc.nat(3) }),
  fc.record({ do: fc.constantFrom("retire" as const, "reclaim" as const), reader: fc.constant(0) }),
);
/** The last ones make epochs pass OFFLINE, and 2^32, within a run. */
const firstEpoch = fc.constantFrom(1, 1000, OFFLINE - 3, -4);

t.test("things are freed when no online reader can still see them, and not before", async (t) => {
  fc.assert(
    fc.property(firstEpoch, fc.array(step, { maxLength: 80 }), (epoch, steps) => {
      const { writer, readers } = start(epoch);
      /** Things that each online reader may still see: all not retired when it last passed a quiescent point. */
      const seen: (Set<number> | null)[] = readers.map(() => null);
      const freed = new Set<number>();
      const waiting: number[] = [];
      let made = 0;
      let live = made;
      for (const { do: what, reader } of steps) {
        if (what === "quiesce") {
          readers[reader]!.quiesce();
          seen[reader] = new Set([live]);
        } else if (what === "offline") {
          readers[reader]!.goOffline();
          seen[reader] = null;
        } else if (what === "retire") {
          const old = live;
          made += 1;
          live = made;
          waiting.push(old);
          writer.retire(() => freed.add(old));
        } else {
          const left = writer.reclaim();
          const held = (thing: number): boolean => seen.some((set) => set !== null && [...set][0]! <= thing);
          const safe = waiting.filter((thing) => !held(thing));
          if (left !== waiting.length - safe.length || safe.some((thing) => !freed.has(thing))) return false;
          if (freed.size !== safe.length) return false;
        }
      }
      return true;
    }),
    runs(2000),
  );
  t.pass("every schedule");
});

t.test("no epoch is taken for OFFLINE", async (t) => {
  const { writer, readers } = start(OFFLINE - 1);
  t.equal(writer.advance(), (OFFLINE + 1) | 0);
  readers[0]!.quiesce();
  const epoch = writer.advance();
  t.notOk(
    writer.isSafe(epoch),
    "a reader at an older epoch counts although epochs wrapped to negative numbers",
  );
  readers[0]!.quiesce();
  t.ok(writer.isSafe(epoch));
});

t.test("a stuck reader is named, and control can set a dead one offline", async (t) => {
  const { writer, readers } = start(7);
  readers[1]!.quiesce();
  readers[2]!.quiesce();
  let freed = false;
  writer.retire(() => {
    freed = true;
  });
  readers[2]!.quiesce();
  t.equal(writer.reclaim(), 1);
  t.strictSame(writer.laggards(), [1]);
  writer.setOffline(1);
  t.strictSame(writer.laggards(), []);
  t.equal(writer.reclaim(), 0);
  t.ok(freed);
});
