// The MAC table on its way to another thread: four numbers an entry in one array, which is handed over and not copied.
// Thousands of entries as objects would take the sender longer than an upcall may wait.
import type { MacEntry } from "./mac-table.ts";

const NUMBERS_PER_ROW = 4;

/** Moves up to `limit` entries from the iterator behind `rows`. True when the iterator is at its end. */
export function takeRows(entries: Iterator<MacEntry>, rows: number[], limit: number): boolean {
  for (let count = 0; count < limit; count += 1) {
    const { done, value } = entries.next();
    if (done === true) return true;
    rows.push(value.vlan, value.mac, value.portNo, value.usedMillis);
  }
  return false;
}

/** The entries of the rows, the one unused for longest first, as OVS lists them. */
export function readRows(rows: Float64Array): MacEntry[] {
  const entries = Array.from({ length: rows.length / NUMBERS_PER_ROW }, (_, row) => {
    const [vlan, mac, portNo, usedMillis] = rows.subarray(row * NUMBERS_PER_ROW, (row + 1) * NUMBERS_PER_ROW);
    return { vlan: vlan!, mac: mac!, portNo: portNo!, usedMillis: usedMillis! };
  });
  return entries.sort((a, b) => a.usedMillis - b.usedMillis);
}
