// Shapes of action lists: what is told apart and what is not, numbers that stay, lists that have none, hostile bytes.
import fc from "fast-check";
import t from "tap";
import { ACTION } from "../../src/action/attributes.ts";
import { parseActions } from "../../src/action/odp/parse-actions.ts";
import { ACTION_SHAPE_COUNT_MAX } from "../../src/memory/region-plan.ts";
import { SHAPE_BYTES_MAX } from "../../src/table/action-shape.ts";
import { hashSeeds } from "../../src/table/hash.ts";
import { readShapes, ShapeStore, shapeCount } from "../../src/table/shape-store.ts";
import { createTestArena } from "../support/dataplane.ts";
import { runs } from "../support/seed.ts";

function rig(): { store: ShapeStore; arena: ReturnType<typeof createTestArena>["arena"] } {
  const { arena } = createTestArena();
  return { arena, store: new ShapeStore(arena, hashSeeds(arena)) };
}

t.test("lists that differ in values alone share a number", (t) => {
  const { store, arena } = rig();
  const same = [
    ["", ""],
    ["1", "65000"],
    ["push_vlan(vid=1,pcp=0),2", "push_vlan(tpid=0x88a8,vid=77,pcp=5),9"],
    ["set(ipv4(ttl=3)),1", "set(ipv4(ttl=63)),4"],
    ["set(eth(src=02:00:00:00:00:01)),1", "set(eth(src=02:00:00:00:00:09)),4"],
    ["sample(sample=10%,actions(1,trunc(50),2))", "sample(sample=50%,actions(7,trunc(60),8))"],
    ["check_pkt_len(size=100,gt(1),le(2))", "check_pkt_len(size=900,gt(3),le(4))"],
    ["hash(l4(0)),recirc(1)", "hash(l4(9)),recirc(2)"],
    ["clone(push_vlan(vid=1,pcp=0),3),recirc(1)", "clone(push_vlan(vid=2,pcp=0),4),recirc(9)"],
  ];
  for (const [index, [one, other]] of same.entries()) {
    t.equal(store.acquire(parseActions(one!)), index + 1, one);
    t.equal(store.acquire(parseActions(other!)), index + 1, other);
  }
  for (const [one] of same) t.ok(store.acquire(parseActions(one!)) > 0);
  t.equal(shapeCount(arena), same.length);
  t.strictSame(
    readShapes(arena).map(({ number, list }) => [number, list.length]),
    same.map(([one], index) => [index + 1, parseActions(one!).length]),
  );
  t.strictSame(readShapes(arena, same.length).length, 1);
  t.strictSame(readShapes(arena, same.length + 1), []);
  t.end();
});

t.test("lists that differ in anything else do not", (t) => {
  const { store } = rig();
  const lists = [
    "1",
    "1,2",
    "pop_vlan,1",
    "set(ipv4(ttl=3)),1",
    "set(ipv4(tos=3)),1",
    "set(ipv4(ttl=3/0xf)),1",
    "set(eth(src=02:00:00:00:00:01)),1",
    "set(eth(dst=02:00:00:00:00:01)),1",
    "hash(l4(0)),recirc(1)",
    "hash(sym_l4(0)),recirc(1)",
    "pop_mpls(eth_type=0x800),1",
    "pop_mpls(eth_type=0x86dd),1",
    "clone(1),2",
    "clone(1,2)",
  ];
  const numbers = lists.map((list) => store.acquire(parseActions(list)));
  t.strictSame(
    numbers,
    lists.map((_, index) => index + 1),
  );
  t.end();
});

t.test("what no code is made for has no number", (t) => {
  const { store, arena } = rig();
  t.equal(store.acquire(parseActions("1,userspace(pid=0)")), 0);
  t.equal(store.acquire(Uint8Array.of(4, 0, 0xff, 0x3f)), 0);
  const most = SHAPE_BYTES_MAX / 8;
  t.equal(store.acquire(parseActions(new Array(most).fill("1").join())), 1);
  t.equal(store.acquire(parseActions(new Array(most + 1).fill("1").join())), 0);
  t.equal(shapeCount(arena), 1);
  t.end();
});

t.test("when all numbers are given, known shapes keep theirs", (t) => {
  const { store, arena } = rig();
  // A list in binary: which of two actions stands at each place.
  const list = (index: number): Uint8Array =>
    parseActions(Array.from({ length: 11 }, (_, bit) => ((index >>> bit) & 1 ? "pop_vlan" : "1")).join());
  for (let index = 0; index < ACTION_SHAPE_COUNT_MAX; index += 1)
    if (store.acquire(list(index)) !== index + 1) t.fail(`list ${index}`);
  t.equal(store.acquire(list(ACTION_SHAPE_COUNT_MAX)), 0);
  t.equal(store.acquire(list(5)), 6);
  t.equal(readShapes(arena).length, ACTION_SHAPE_COUNT_MAX);
  t.end();
});

t.test("bytes that are no list", (t) => {
  const { store, arena } = rig();
  const header = fc
    .tuple(fc.constantFrom(0, 3, 4, 5, 8, 12, 16, 24, 0xffff), fc.constantFrom(...Object.values(ACTION)))
    .map(([bytes, type]) => [bytes & 0xff, bytes >>> 8, type, 0]);
  const piece = fc.oneof(header, fc.array(fc.nat(255), { maxLength: 9 }));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const before = shapeCount(arena);
      const number = store.acquire(Uint8Array.from(pieces.flat()));
      const count = shapeCount(arena);
      return number <= count && (count === before || (count === before + 1 && number === count));
    }),
    runs(3000),
  );
  t.end();
});
