// The cookie that OVS's ofproto puts into userspace() actions: a struct of 48 bytes whose kinds have a text
// of their own. Integers are in host order but for the sFlow TCI and the rule cookie; offsets are those of
// the C struct. Control path.

import type { TextCursor } from "../../flow/odp/text-cursor.ts";
import { VLAN } from "../../packet/link-headers.ts";
import { type ActionParse, parsePort, U16_MAX, U32_MAX } from "./action-parse.ts";
import { type PortNames, printHex, printPort } from "./action-print.ts";

export const COOKIE_BYTES = 48;

const COOKIE_TYPE = { sflow: 1, slowPath: 2, flowSample: 3, ipfix: 4, controller: 5 } as const;
/** ofp_in_port of a cookie that is not about a port: OFPP_NONE. */
const NO_OPENFLOW_PORT = 0xffff;

/** Offsets in the struct; the kinds share the bytes from 24 on. */
const COOKIE = {
  type: 0,
  ofpInPort: 4,
  sflowTci: 24,
  sflowOutput: 28,
  slowPathReason: 28,
  sampleProbability: 24,
  sampleCollector: 28,
  sampleDomain: 32,
  samplePoint: 36,
  sampleOutput: 40,
  sampleDirection: 44,
  ipfixOutput: 24,
  controllerDontSend: 24,
  controllerContinuation: 25,
  controllerReason: 26,
  controllerRecircId: 28,
  controllerRuleCookie: 32,
  controllerId: 40,
  controllerMaxLen: 42,
} as const;

/** enum slow_path_reason, bit by bit. */
const SLOW_PATH_REASONS: readonly string[] = ["cfm", "bfd", "lacp", "stp", "lldp", "action", "match"];
const SAMPLE_DIRECTIONS: readonly string[] = ["", ",ingress", ",egress"];

type CookieForm = (cursor: TextCursor, cookie: DataView, parse: ActionParse) => number;

/** Reads what follows `,KIND(`, writes the struct's kind and returns its type. */
const FORMS: ReadonlyMap<string, CookieForm> = new Map<string, CookieForm>([
  ["sFlow", parseSflow],
  ["slow_path", parseSlowPath],
  ["flow_sample", parseFlowSample],
  ["ipfix", parseIpfix],
  ["controller", parseController],
]);

/** A cookie in text, from the "," before its kind; undefined when none stands here. */
export function parseCookie(parse: ActionParse): Uint8Array | undefined {
  const { cursor } = parse;
  const kind = cursor.take(/,(?:sFlow|slow_path|flow_sample|ipfix|controller)\(/y);
  if (kind === undefined) return undefined;
  const bytes = new Uint8Array(COOKIE_BYTES);
  const cookie = new DataView(bytes.buffer);
  cookie.setUint16(COOKIE.type, FORMS.get(kind.slice(1, -1))!(cursor, cookie, parse), true);
  cookie.setUint32(COOKIE.ofpInPort, NO_OPENFLOW_PORT, true);
  cursor.expect(")");
  return bytes;
}

function parseSflow(cursor: TextCursor, cookie: DataView): number {
  cursor.expect("vid=");
  const vid = cursor.integer("vid", VLAN.vidMask);
  cursor.expect(",pcp=");
  const pcp = cursor.integer("pcp", 7);
  cursor.expect(",output=");
  const tci = (pcp << VLAN.pcpShift) | vid;
  cookie.setUint16(COOKIE.sflowTci, tci === 0 ? 0 : tci | VLAN.cfi);
  cookie.setUint32(COOKIE.sflowOutput, cursor.integer("output", U32_MAX), true);
  return COOKIE_TYPE.sflow;
}

/** Flags joined by "|" as OVS reads them, or by "," as it prints them. */
function parseSlowPath(cursor: TextCursor, cookie: DataView): number {
  const allowed = (1 << SLOW_PATH_REASONS.length) - 1;
  let reasons = 0;
  while (cursor.peek() !== ")") {
    const name = cursor.take(/[a-z]+/y);
    if (name === undefined) {
      reasons |= cursor.integer("reasons", allowed);
    } else {
      const bit = SLOW_PATH_REASONS.indexOf(name);
      if (bit < 0) cursor.fail(`one of ${SLOW_PATH_REASONS.join(", ")} instead of "${name}"`);
      reasons |= 1 << bit;
    }
    if (!cursor.skip("|") && !cursor.skip(",") && cursor.peek() !== ")") cursor.fail('"|" or ")"');
  }
  cookie.setUint32(COOKIE.slowPathReason, reasons, true);
  return COOKIE_TYPE.slowPath;
}

function parseFlowSample(cursor: TextCursor, cookie: DataView, parse: ActionParse): number {
  cursor.expect("probability=");
  cookie.setUint16(COOKIE.sampleProbability, cursor.integer("probability", U16_MAX), true);
  cursor.expect(",collector_set_id=");
  cookie.setUint32(COOKIE.sampleCollector, cursor.integer("collector_set_id", U32_MAX), true);
  cursor.expect(",obs_domain_id=");
  cookie.setUint32(COOKIE.sampleDomain, cursor.integer("obs_domain_id", U32_MAX), true);
  cursor.expect(",obs_point_id=");
  cookie.setUint32(COOKIE.samplePoint, cursor.integer("obs_point_id", U32_MAX), true);
  cursor.expect(",output_port=");
  cookie.setUint32(COOKIE.sampleOutput, parsePort(parse), true);
  const direction = cursor.take(/,(?:ingress|egress)/y) ?? "";
  cookie.setUint32(COOKIE.sampleDirection, SAMPLE_DIRECTIONS.indexOf(direction), true);
  return COOKIE_TYPE.flowSample;
}

function parseIpfix(cursor: TextCursor, cookie: DataView, parse: ActionParse): number {
  cursor.expect("output_port=");
  cookie.setUint32(COOKIE.ipfixOutput, parsePort(parse), true);
  return COOKIE_TYPE.ipfix;
}

function parseController(cursor: TextCursor, cookie: DataView): number {
  cursor.expect("reason=");
  cookie.setUint16(COOKIE.controllerReason, cursor.unsigned("reason", U16_MAX), true);
  cursor.expect(",dont_send=");
  cookie.setUint8(COOKIE.controllerDontSend, cursor.unsigned("dont_send", 1));
  cursor.expect(",continuation=");
  cookie.setUint8(COOKIE.controllerContinuation, cursor.unsigned("continuation", 1));
  cursor.expect(",recirc_id=");
  cookie.setUint32(COOKIE.controllerRecircId, cursor.unsigned("recirc_id", U32_MAX), true);
  cursor.expect(",rule_cookie=");
  cookie.setBigUint64(COOKIE.controllerRuleCookie, parseHex64(cursor));
  cursor.expect(",controller_id=");
  cookie.setUint16(COOKIE.controllerId, cursor.unsigned("controller_id", U16_MAX), true);
  cursor.expect(",max_len=");
  cookie.setUint16(COOKIE.controllerMaxLen, cursor.unsigned("max_len", U16_MAX), true);
  return COOKIE_TYPE.controller;
}

function parseHex64(cursor: TextCursor): bigint {
  const digits = cursor.take(/(?:0[xX])?[0-9a-fA-F]{1,16}(?![0-9a-fA-F])/y);
  if (digits === undefined) cursor.fail("rule_cookie, at most 16 hexadecimal digits");
  return BigInt(`0x${digits.replace(/^0[xX]/, "")}`);
}

/** The text of a cookie, with the "," before it; undefined when the bytes are no cookie of a known kind. */
export function printCookie(
  bytes: Uint8Array,
  start: number,
  end: number,
  names: PortNames | undefined,
): string | undefined {
  if (end - start !== COOKIE_BYTES) return undefined;
  const cookie = new DataView(bytes.buffer, bytes.byteOffset + start, COOKIE_BYTES);
  const u16 = (offset: number): number => cookie.getUint16(offset, true);
  const u32 = (offset: number): number => cookie.getUint32(offset, true);
  switch (u16(COOKIE.type)) {
    case COOKIE_TYPE.sflow: {
      const tci = cookie.getUint16(COOKIE.sflowTci);
      const tag = `vid=${tci & VLAN.vidMask},pcp=${tci >>> VLAN.pcpShift}`;
      return `,sFlow(${tag},output=${u32(COOKIE.sflowOutput)})`;
    }
    case COOKIE_TYPE.slowPath:
      return `,slow_path(${printReasons(u32(COOKIE.slowPathReason))})`;
    case COOKIE_TYPE.flowSample:
      return (
        `,flow_sample(probability=${u16(COOKIE.sampleProbability)}` +
        `,collector_set_id=${u32(COOKIE.sampleCollector)},obs_domain_id=${u32(COOKIE.sampleDomain)}` +
        `,obs_point_id=${u32(COOKIE.samplePoint)},output_port=${printPort(u32(COOKIE.sampleOutput), names)}` +
        `${SAMPLE_DIRECTIONS[u32(COOKIE.sampleDirection)] ?? ""})`
      );
    case COOKIE_TYPE.ipfix:
      return `,ipfix(output_port=${printPort(u32(COOKIE.ipfixOutput), names)})`;
    case COOKIE_TYPE.controller:
      return (
        `,controller(reason=${u16(COOKIE.controllerReason)}` +
        `,dont_send=${Math.min(1, cookie.getUint8(COOKIE.controllerDontSend))}` +
        `,continuation=${Math.min(1, cookie.getUint8(COOKIE.controllerContinuation))}` +
        `,recirc_id=${u32(COOKIE.controllerRecircId)}` +
        `,rule_cookie=${printHex(cookie.getBigUint64(COOKIE.controllerRuleCookie))}` +
        `,controller_id=${u16(COOKIE.controllerId)},max_len=${u16(COOKIE.controllerMaxLen)})`
      );
    default:
      return undefined;
  }
}

function printReasons(reasons: number): string {
  if (reasons === 0) return "0";
  const names = SLOW_PATH_REASONS.filter((_, bit) => (reasons & (1 << bit)) !== 0);
  const unknown = (reasons >>> SLOW_PATH_REASONS.length) * 2 ** SLOW_PATH_REASONS.length;
  if (unknown !== 0) names.push(`0x${unknown.toString(16)}`);
  return names.join(",");
}
