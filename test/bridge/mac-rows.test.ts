// The MAC table's way to another thread: taken in slices while the table changes, read back oldest first.
import t from "tap";
import { readRows, takeRows } from "../../src/bridge/learn/mac-rows.ts";
import { MacTable } from "../../src/bridge/learn/mac-table.ts";

const ENTRIES = 1000;
const SLICE = 64;

function filled(): MacTable {
  const table = new MacTable(2 * ENTRIES, 300_000, () => {});
  for (let mac = 1; mac <= ENTRIES; mac += 1) table.learn(mac % 3, 2 ** 41 + mac, 1 + (mac % 4), 5000 - mac);
  return table;
}

t.test("what was taken in slices reads back as the table lists it", async (t) => {
  const table = filled();
  const entries = table.entries();
  const numbers: number[] = [];
  let slices = 1;
  while (!takeRows(entries, numbers, SLICE)) slices += 1;
  t.equal(slices, Math.ceil((ENTRIES + 1) / SLICE));
  const sent = structuredClone(Float64Array.from(numbers));
  t.strictSame(readRows(sent), table.list());
  t.strictSame(readRows(new Float64Array(0)), []);
});

t.test("entries that stay are told once, whatever happens to the others between slices", async (t) => {
  const table = filled();
  const entries = table.entries();
  const numbers: number[] = [];
  for (let turn = 0; !takeRows(entries, numbers, SLICE); turn += 1) {
    // Ports 1 and 2 stay: their addresses are used again, those of port 3 move to port 4, and new ones come.
    for (const { vlan, mac, portNo } of table.list().slice(0, 200)) {
      table.learn(vlan, mac, portNo === 3 ? 4 : portNo, 6000 + turn);
    }
    table.learn(turn, 2 ** 42 + turn, 9, 7000);
  }
  const told = readRows(Float64Array.from(numbers)).map(({ vlan, mac }) => `${vlan}/${mac}`);
  t.equal(new Set(told).size, told.length, "none twice");
  const staying = table.list().filter(({ portNo }) => portNo <= 2);
  t.equal(staying.length, ENTRIES / 2);
  t.ok(staying.every(({ vlan, mac }) => told.includes(`${vlan}/${mac}`)));
});
