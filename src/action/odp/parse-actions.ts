// Action lists from ODP text to netlink attributes: the grammar of `ovs-dpctl`, and every form that we or OVS
// print, among them those that OVS itself cannot read (recirc(0x1), hash(), push_mpls, pop_mpls, push_eth,
// pop_eth, dec_ttl, clone(drop), slow_path(cfm,bfd), drop behind other actions, drop(N)). Control path.
//
// The parser checks form and ranges of numbers; what a flow may do is validation's affair. Where OVS lets a
// number wrap around, we refuse it.

import { NLA_PAYLOAD_BYTES_MAX, NlWriter } from "../../flow/nlattr.ts";
import type { PortNumbers } from "../../flow/odp/key-parse.ts";
import { OdpSyntaxError, TextCursor } from "../../flow/odp/text-cursor.ts";
import { ACTION, TEXT_DEPTH_MAX } from "../attributes.ts";
import { type ActionForm, type ActionParse, parsePort, U32_MAX } from "./action-parse.ts";
import { parseConntrack } from "./conntrack.ts";
import {
  parseAddMpls,
  parseHash,
  parsePopMpls,
  parsePushEth,
  parsePushMpls,
  parsePushVlan,
} from "./headers.ts";
import { parseCheckPktLen, parseClone, parseDecTtl, parsePsample, parseSample } from "./nested.ts";
import { parsePushNsh } from "./push-nsh.ts";
import { parseSet } from "./set.ts";
import { parseTunnelPush } from "./tunnel-push.ts";
import { parseUserspace } from "./userspace.ts";

/** What follows each action's name. */
const FORMS: ReadonlyMap<string, ActionForm> = new Map<string, ActionForm>([
  ["lb_output", number(ACTION.lbOutput, "bond id")],
  ["trunc", number(ACTION.trunc, "length")],
  ["meter", number(ACTION.meter, "meter id")],
  ["recirc", number(ACTION.recirc, "recirculation id")],
  ["tnl_pop", parseTunnelPop],
  ["pop_vlan", flag(ACTION.popVlan)],
  ["pop_eth", flag(ACTION.popEth)],
  ["ct_clear", flag(ACTION.ctClear)],
  ["pop_nsh", flag(ACTION.popNsh, "()")],
  ["drop", parseDrop],
  ["push_vlan", parsePushVlan],
  ["push_mpls", parsePushMpls],
  ["pop_mpls", parsePopMpls],
  ["add_mpls", parseAddMpls],
  ["push_eth", parsePushEth],
  ["hash", parseHash],
  ["sample", parseSample],
  ["clone", parseClone],
  ["check_pkt_len", parseCheckPktLen],
  ["dec_ttl", parseDecTtl],
  ["psample", parsePsample],
  ["set", parseSet],
  ["userspace", parseUserspace],
  ["ct", parseConntrack],
  ["push_nsh", parsePushNsh],
  ["tnl_push", parseTunnelPush],
]);

/**
 * The attributes of an action list. `drop` is one drop action, as in OVS; nothing at all is the empty list.
 * @throws OdpSyntaxError with the column and what was expected there
 */
export function parseActions(text: string, ports?: PortNumbers): Uint8Array {
  const cursor = new TextCursor(text);
  const writer = new NlWriter();
  let depth = 0;
  const parse: ActionParse = {
    cursor,
    writer,
    ports,
    parseList: () => {
      depth += 1;
      if (depth >= TEXT_DEPTH_MAX) cursor.fail(`at most ${TEXT_DEPTH_MAX} levels of actions`);
      parseNestedList(parse);
      depth -= 1;
    },
  };
  cursor.skipDelimiters();
  while (!cursor.isAtEnd) {
    parseAction(parse);
    if (!cursor.skipDelimiters() && !cursor.isAtEnd) cursor.fail('"," or the end of the actions');
  }
  return writer.finish();
}

/** `drop` as a whole branch is the empty list, and how that is printed. */
function parseNestedList(parse: ActionParse): void {
  const { cursor } = parse;
  cursor.skipDelimiters();
  if (cursor.take(/drop(?=\s*\))/iy) === undefined) {
    while (cursor.peek() !== ")") {
      parseAction(parse);
      if (!cursor.skipDelimiters() && cursor.peek() !== ")") cursor.fail('"," or ")"');
    }
  }
  cursor.skipDelimiters();
  cursor.expect(")");
}

function parseAction(parse: ActionParse): void {
  const { cursor, writer } = parse;
  const from = cursor.at;
  if (/[0-9]/.test(cursor.peek())) {
    writer.putU32(ACTION.output, cursor.integer("port number", U32_MAX));
  } else if (!parsePortName(parse)) {
    const form = FORMS.get(cursor.take(/drop|[a-z_]+/iy)?.replace(/^drop$/i, "drop") ?? "");
    if (form === undefined) throw new OdpSyntaxError(cursor.text, from, "an action or a port");
    form(parse);
  }
  if (writer.size > NLA_PAYLOAD_BYTES_MAX) {
    throw new OdpSyntaxError(cursor.text, from, `at most ${NLA_PAYLOAD_BYTES_MAX} bytes of actions`);
  }
}

function parsePortName({ cursor, writer, ports }: ActionParse): boolean {
  const from = cursor.at;
  const name = cursor.take(/[^, \t\r\n()]+/y);
  const portNo = name === undefined ? undefined : ports?.get(name);
  if (portNo === undefined || cursor.peek() === "(") {
    cursor.at = from;
    return false;
  }
  writer.putU32(ACTION.output, portNo);
  return true;
}

function number(type: number, name: string): ActionForm {
  return ({ cursor, writer }) => {
    cursor.expect("(");
    writer.putU32(type, cursor.unsigned(name, U32_MAX));
    cursor.expect(")");
  };
}

function flag(type: number, tail = ""): ActionForm {
  return ({ cursor, writer }) => {
    cursor.expect(tail);
    writer.putFlag(type);
  };
}

function parseTunnelPop(parse: ActionParse): void {
  parse.cursor.expect("(");
  parse.writer.putU32(ACTION.tunnelPop, parsePort(parse));
  parse.cursor.expect(")");
}

/** drop ends its list; drop(N) is how we print a code that is not 0. */
function parseDrop({ cursor, writer }: ActionParse): void {
  let code = 0;
  if (cursor.skip("(")) {
    code = cursor.unsigned("drop code", U32_MAX);
    cursor.expect(")");
  }
  if (!cursor.isAtEnd && cursor.take(/(?=\s*(?:\)|$))/y) === undefined)
    cursor.fail("the end of the list behind drop");
  writer.putU32(ACTION.drop, code);
}
