// userspace(): text to attributes and back. Control path.
//
// Userdata of 48 bytes whose first word is a known kind is OVS's own cookie and has that kind's text; all
// else is hexadecimal. As OVS does, userdata shorter than 8 bytes is filled up with zeros (older kernels
// asked for 8), and a userspace() without any gets a cookie of zeros.
import { ACTION, USERSPACE } from "../attributes.ts";
import { readU32 } from "../host-words.ts";
import { type ActionParse, parseHexBytes, parsePort, U32_MAX } from "./action-parse.ts";
import {
  nestedByType,
  type PayloadLengths,
  type PortNames,
  printHexBytes,
  printPort,
} from "./action-print.ts";
import { COOKIE_BYTES, parseCookie, printCookie } from "./cookie.ts";

const USERDATA_BYTES_MIN = 8;
/** What is left of a USERSPACE attribute behind its own header, the pid's attribute and userdata's header. */
export const USERDATA_BYTES_MAX = 65512;
/** ODPP_NONE: "no port" where a port would stand; OVS leaves the attribute out for it. */
const NO_PORT = 0xffffffff;

export function parseUserspace(parse: ActionParse): void {
  const { cursor, writer } = parse;
  cursor.expect("(pid=");
  const pid = cursor.integer("pid", U32_MAX);
  const userdata = parseCookie(parse) ?? parseUserdata(parse) ?? new Uint8Array(COOKIE_BYTES);
  const hasActions = cursor.skip(",actions");
  const tunnelOutPort = cursor.skip(",tunnel_out_port=") ? parsePort(parse) : NO_PORT;
  cursor.expect(")");

  const userspace = writer.begin(ACTION.userspace);
  writer.putU32(USERSPACE.pid, pid);
  writer.put(USERSPACE.userdata, userdata);
  if (tunnelOutPort !== NO_PORT) writer.putU32(USERSPACE.egressTunPort, tunnelOutPort);
  if (hasActions) writer.putFlag(USERSPACE.actions);
  writer.end(userspace);
}

function parseUserdata({ cursor }: ActionParse): Uint8Array | undefined {
  if (!cursor.skip(",userdata(")) return undefined;
  const bytes = cursor.peek() === ")" ? new Uint8Array(0) : parseHexBytes(cursor, USERDATA_BYTES_MAX);
  cursor.expect(")");
  if (bytes.length >= USERDATA_BYTES_MIN) return bytes;
  const filled = new Uint8Array(USERDATA_BYTES_MIN);
  filled.set(bytes);
  return filled;
}

const PART_BYTES: PayloadLengths = {
  [USERSPACE.pid]: 4,
  [USERSPACE.egressTunPort]: 4,
  [USERSPACE.actions]: 0,
};

export function printUserspace(
  bytes: Uint8Array,
  start: number,
  end: number,
  names: PortNames | undefined,
): string {
  const parts = nestedByType(bytes, start, end, PART_BYTES, [USERSPACE.pid]);
  if (parts === undefined) return "userspace(error)";
  let text = `userspace(pid=${readU32(bytes, parts.get(USERSPACE.pid)!.start)}`;
  const userdata = parts.get(USERSPACE.userdata);
  if (userdata !== undefined) {
    text +=
      printCookie(bytes, userdata.start, userdata.end, names) ??
      `,userdata(${printHexBytes(bytes, userdata.start, userdata.end)})`;
  }
  if (parts.has(USERSPACE.actions)) text += ",actions";
  const tunnelOutPort = parts.get(USERSPACE.egressTunPort);
  if (tunnelOutPort !== undefined) {
    text += `,tunnel_out_port=${printPort(readU32(bytes, tunnelOutPort.start), names)}`;
  }
  return `${text})`;
}
