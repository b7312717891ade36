// TCP flags in OpenFlow syntax, exact: names joined by "|", each bit without a name as a hexadecimal number in
// brackets.

import { TCP_FLAG } from "../../packet/transport-headers.ts";

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(TCP_FLAG).map(([name, bit]) => [bit, name]),
);

/** `syn|ack`, `fin|[200]`, or `0` when no flag is set. */
export function formatTcpFlags(flags: number): string {
  if (flags === 0) return "0";
  const words: string[] = [];
  for (let bit = 1; bit <= flags; bit <<= 1) {
    if ((flags & bit) !== 0) words.push(NAMES.get(bit) ?? `[${bit.toString(16)}]`);
  }
  return words.join("|");
}
