// The MAC table against a model that keeps a plain list, and its bound under ten thousand addresses.
import fc from "fast-check";
import t from "tap";
import { MacTable } from "../../src/bridge/learn/mac-table.ts";
import { runs, SEED } from "../support/seed.ts";

const SIZE_MAX = 6;
const AGING_MILLIS = 100;

interface Row {
  readonly vlan: number;
  readonly mac: number;
  readonly portNo: number;
  usedMillis: number;
}

/** Rows in the order of their last use, the oldest first. */
class SlowTable {
  rows: Row[] = [];

  learn(vlan: number, mac: number, portNo: number, nowMillis: number): void {
    const known = this.rows.find((row) => row.vlan === vlan && row.mac === mac);
    if (known?.portNo === portNo && known.usedMillis === nowMillis) return;
    if (known === undefined && this.rows.length === SIZE_MAX) this.#evict();
    this.rows = this.rows.filter((row) => row !== known);
    this.rows.push({ vlan, mac, portNo, usedMillis: nowMillis });
  }

  /** The fullest ports, of which any may give way: their oldest rows. */
  victims(): Row[] {
    const ports = new Map<number, Row[]>();
    for (const row of this.rows) ports.set(row.portNo, [...(ports.get(row.portNo) ?? []), row]);
    const most = Math.max(...[...ports.values()].map((rows) => rows.length));
    return [...ports.values()].filter((rows) => rows.length === most).map((rows) => rows[0]!);
  }

  /** Which of the fullest ports gives way is the table's choice; the test tells it. */
  chosen: Row | undefined;

  #evict(): void {
    this.rows = this.rows.filter((row) => row !== this.chosen);
  }

  expire(nowMillis: number): void {
    this.rows = this.rows.filter((row) => nowMillis - row.usedMillis < AGING_MILLIS);
  }
}

const text = (rows: readonly Row[]): string[] =>
  rows.map((row) => `${row.vlan}/${row.mac}@${row.portNo} ${row.usedMillis}`).sort();

const step = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(fc.constant("learn" as const), fc.nat(1), fc.nat(7), fc.nat(3)) },
  { weight: 3, arbitrary: fc.tuple(fc.constant("wait" as const), fc.nat(60), fc.nat(0), fc.nat(0)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("expire" as const), fc.nat(0), fc.nat(0), fc.nat(0)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("forget" as const), fc.nat(0), fc.nat(0), fc.nat(3)) },
);

t.test("learns, moves, ages and evicts as the model does, and tells what changed", async (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const told = new Set<number>();
      const table = new MacTable(SIZE_MAX, AGING_MILLIS, (mac) => told.add(mac));
      const slow = new SlowTable();
      let now = 0;
      for (const [what, first, second, portNo] of steps) {
        const before = new Map(table.list().map((row) => [`${row.vlan}/${row.mac}`, row.portNo]));
        told.clear();
        if (what === "wait") now += first;
        if (what === "learn") {
          const victims = slow.victims();
          table.learn(first, second, portNo, now);
          slow.chosen = victims.find((row) => table.find(row.vlan, row.mac) === undefined);
          slow.learn(first, second, portNo, now);
        }
        if (what === "expire") {
          while (table.expire(now, 2));
          slow.expire(now);
        }
        if (what === "forget") {
          table.forgetPort(portNo);
          slow.rows = slow.rows.filter((row) => row.portNo !== portNo);
        }
        if (table.size > SIZE_MAX) throw new Error(`${table.size} entries`);
        if (text(table.list()).join() !== text(slow.rows).join())
          throw new Error(`${what}: ${text(table.list()).join()} but ${text(slow.rows).join()}`);
        if (what === "forget") continue;
        const after = new Map(table.list().map((row) => [`${row.vlan}/${row.mac}`, row.portNo]));
        const names = [...before.keys(), ...after.keys()].filter(
          (name) => before.get(name) !== after.get(name),
        );
        const changed = [...new Set(names.map((name) => Number(name.split("/")[1])))];
        if (changed.sort().join() !== [...told].sort().join())
          throw new Error(`${what}: told ${[...told].join()}, changed ${changed.join()}`);
      }
    }),
    runs(2000),
  );
  t.pass(`every schedule; SEED=${SEED}`);
});

t.test("ten thousand addresses of one port leave those of the others alone", async (t) => {
  let told = 0;
  const table = new MacTable(8192, 300_000, () => {
    told += 1;
  });
  for (let mac = 1; mac <= 100; mac += 1) table.learn(0, mac, 1, mac);
  told = 0;
  for (let mac = 1; mac <= 10_000; mac += 1) table.learn(10, 0x020000000000 + mac, 2, 100 + mac);
  t.equal(table.size, 8192);
  for (let mac = 1; mac <= 100; mac += 1) t.equal(table.find(0, mac), 1);
  const evicted = 10_100 - 8192;
  t.match(table.counts, { learned: 10_100, evicted, moved: 0, expired: 0 });
  t.equal(told, 10_000 + evicted);
  t.equal(table.find(10, 0x020000000000 + evicted), undefined);
  t.equal(table.find(10, 0x020000000000 + evicted + 1), 2);
});

t.test("a port of ten thousand addresses goes, and is forgotten at once", async (t) => {
  const table = new MacTable(10_000, 300_000, () => {});
  for (let mac = 1; mac <= 10_000; mac += 1) table.learn(0, mac, 1 + (mac % 2), mac);
  table.forgetPort(1);
  t.equal(table.size, 5000);
  t.equal(table.find(0, 2), undefined);
  for (let mac = 20_001; mac <= 25_000; mac += 1) table.learn(0, mac, 1, mac);
  t.equal(table.size, 10_000);
  t.match(table.counts, { evicted: 0, learned: 15_000 });
  t.ok(
    table.list().every((entry, index, all) => index === 0 || entry.usedMillis >= all[index - 1]!.usedMillis),
  );
});

t.test("old news neither moves nor ages an address", async (t) => {
  const table = new MacTable(10, 300, () => {});
  table.learn(0, 1, 1, 100);
  table.learn(0, 1, 2, 200);
  table.learn(0, 1, 1, 150);
  table.learn(0, 1, 2, 150);
  t.match(table.list(), [{ portNo: 2, usedMillis: 200 }]);
  table.learn(0, 1, 1, 200);
  t.match(table.list(), [{ portNo: 1, usedMillis: 200 }], "a packet of the same time does");
  t.equal(table.counts.moved, 2);
});
