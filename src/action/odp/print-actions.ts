// Action lists as ODP text, as OVS prints them. Control path. Bytes that are no valid action print as OVS's
// marks of that; everything that validation lets pass reads back to the same bytes, but for sample's rounded
// percentage and for the empty list, which prints as `drop`.
import { type Attribute, attributeAt } from "../../flow/nlattr.ts";
import { ACTION, ACTION_ROWS } from "../attributes.ts";
import { readU32 } from "../host-words.ts";
import { type PortNames, printHex, printHexBytes, printPort } from "./action-print.ts";
import { printConntrack } from "./conntrack.ts";
import {
  printAddMpls,
  printHash,
  printPopMpls,
  printPushEth,
  printPushMpls,
  printPushVlan,
} from "./headers.ts";
import { printCheckPktLen, printDecTtl, printPsample, printSample } from "./nested.ts";
import { printPushNsh } from "./push-nsh.ts";
import { printSet, printSetMasked } from "./set.ts";
import { printTunnelPush } from "./tunnel-push-print.ts";
import { printUserspace } from "./userspace.ts";

/** The text of the list in `bytes`; with `names`, ports by name. */
export function printActions(bytes: Uint8Array, names?: PortNames): string {
  return printList(bytes, 0, bytes.length, names);
}

function printList(bytes: Uint8Array, start: number, end: number, names: PortNames | undefined): string {
  if (start === end) return "drop";
  const shown: string[] = [];
  let at = start;
  for (let found = attributeAt(bytes, at, end); found !== undefined; found = attributeAt(bytes, at, end)) {
    shown.push(printAction(bytes, found, names));
    at = found.next;
  }
  if (at < end) {
    const left = `***${end - at} leftover bytes*** (${printHexBytes(bytes, at, end)})`;
    shown.push(at === start ? `<empty>,${left}` : left);
  }
  return shown.join(",");
}

/** The text of one action whose payload's length is right for its type. */
function printAction(bytes: Uint8Array, action: Attribute, names: PortNames | undefined): string {
  const row = ACTION_ROWS[action.type];
  const payloadBytes = action.end - action.start;
  if (row === undefined) return printUnknown(bytes, action);
  if (typeof row.payload === "number" && payloadBytes !== row.payload) {
    return `bad length ${payloadBytes}, expected ${row.payload} for: ${printUnknown(bytes, action)}`;
  }
  const printer = PRINTERS.get(action.type);
  if (printer === undefined) return row.text;
  return printer(bytes, action.start, action.end, names);
}

function printUnknown(bytes: Uint8Array, { type, start, end }: Attribute): string {
  if (start === end) return `action${type}`;
  const octets = Array.from(bytes.subarray(start, end), (byte) => byte.toString(16).padStart(2, "0"));
  return `action${type}(${octets.join(" ")})`;
}

type Printer = (bytes: Uint8Array, start: number, end: number, names: PortNames | undefined) => string;

const nested =
  (print: (bytes: Uint8Array, start: number, end: number, list: NestedPrinter) => string): Printer =>
  (bytes, start, end, names) =>
    print(bytes, start, end, (listBytes, listStart, listEnd) =>
      printList(listBytes, listStart, listEnd, names),
    );

type NestedPrinter = (bytes: Uint8Array, start: number, end: number) => string;

const number =
  (name: string): Printer =>
  (bytes, start) =>
    `${name}(${readU32(bytes, start)})`;

/** Actions without a printer have no arguments and print their name. */
const PRINTERS: ReadonlyMap<number, Printer> = new Map<number, Printer>([
  [ACTION.output, (bytes, start, _end, names) => printPort(readU32(bytes, start), names)],
  [ACTION.userspace, printUserspace],
  [ACTION.set, printSet],
  [ACTION.setMasked, printSetMasked],
  [ACTION.pushVlan, printPushVlan],
  [ACTION.sample, nested(printSample)],
  [ACTION.recirc, (bytes, start) => `recirc(${printHex(readU32(bytes, start))})`],
  [ACTION.hash, printHash],
  [ACTION.pushMpls, printPushMpls],
  [ACTION.popMpls, printPopMpls],
  [ACTION.ct, printConntrack],
  [ACTION.trunc, number("trunc")],
  [ACTION.pushEth, printPushEth],
  [ACTION.pushNsh, printPushNsh],
  [ACTION.popNsh, () => "pop_nsh()"],
  [ACTION.meter, number("meter")],
  [ACTION.clone, nested((bytes, start, end, list) => `clone(${list(bytes, start, end)})`)],
  [ACTION.checkPktLen, nested(printCheckPktLen)],
  [ACTION.addMpls, printAddMpls],
  [ACTION.decTtl, nested(printDecTtl)],
  // OVS prints no code; with it, ours reads back.
  [ACTION.drop, (bytes, start) => (readU32(bytes, start) === 0 ? "drop" : `drop(${readU32(bytes, start)})`)],
  [ACTION.psample, printPsample],
  [ACTION.tunnelPush, printTunnelPush],
  [ACTION.tunnelPop, (bytes, start, _end, names) => `tnl_pop(${printPort(readU32(bytes, start), names)})`],
  [ACTION.lbOutput, number("lb_output")],
]);
