// tnl_push() from text: the prebuilt header as bytes. Control path; tunnel-push-print.ts is the way back.
//
// The attribute is tnl_port, out_port, header length and tunnel type, four words in host order, and the
// header. `size` and `type` of the text must agree with the header that the text describes. Fields that the
// text does not have (lengths, checksums but UDP's, identification) are zero, but for the IPv4 header
// checksum, which is right.

import { OdpSyntaxError, type TextCursor } from "../../flow/odp/text-cursor.ts";
import { TUNNEL_PUSH_WORDS_BYTES } from "../../packet/tunnel-headers.ts";
import { ACTION, TUNNEL_HEADER_BYTES_MAX } from "../attributes.ts";
import { type ActionParse, parsePort, U32_MAX } from "./action-parse.ts";
import {
  parseEthernet,
  parseIpv4Header,
  parseIpv6Header,
  parseUdp,
  type TunnelHeader,
} from "./tunnel-header.ts";
import { parseErspan, parseGeneve, parseGre, parseGtpu, parseSrv6, parseVxlan } from "./tunnel-protocol.ts";

export function parseTunnelPush(parse: ActionParse): void {
  const { cursor, writer } = parse;
  cursor.expect("(tnl_port(");
  const tunnelPort = parsePort(parse);
  cursor.expect("),header(size=");
  const from = cursor.at;
  const size = cursor.integer("size", TUNNEL_HEADER_BYTES_MAX);
  cursor.expect(",type=");
  const type = cursor.integer("type", U32_MAX);
  cursor.expect(",");
  const header: TunnelHeader = {
    bytes: new Uint8Array(TUNNEL_HEADER_BYTES_MAX),
    length: 0,
    isIpv6: false,
    type: 0,
  };
  parseEthernet(cursor, header);
  if (header.isIpv6) parseIpv6Header(cursor, header);
  else parseIpv4Header(cursor, header);
  parseTunnel(cursor, header);
  if (size !== header.length || type !== header.type) {
    const found = `size=${header.length},type=${header.type}`;
    throw new OdpSyntaxError(cursor.text, from, `${found} for the header that follows`);
  }
  cursor.expect("),out_port(");
  const outPort = parsePort(parse);
  cursor.expect("))");

  const payload = new Uint8Array(TUNNEL_PUSH_WORDS_BYTES + size);
  const words = new DataView(payload.buffer);
  for (const [index, word] of [tunnelPort, outPort, size, type].entries())
    words.setUint32(index * 4, word, true);
  payload.set(header.bytes.subarray(0, size), TUNNEL_PUSH_WORDS_BYTES);
  writer.put(ACTION.tunnelPush, payload);
}

/** What the outer IP header carries, from its name to its closing parenthesis. */
function parseTunnel(cursor: TextCursor, header: TunnelHeader): void {
  const hasUdp = cursor.skip("udp(");
  if (hasUdp) parseUdp(cursor, header);
  const name = cursor.take(/[a-z0-9]+(?=\()/y);
  const form = (hasUdp ? UDP_TUNNELS : IP_TUNNELS).get(name ?? "");
  if (form === undefined) {
    const names = [...UDP_TUNNELS.keys()]
      .map((udpName) => `udp(),${udpName}()`)
      .concat([...IP_TUNNELS.keys()]);
    cursor.fail(`one of ${names.join(", ")}`);
  }
  cursor.expect("(");
  form(cursor, header);
  cursor.expect(")");
}

type TunnelForm = (cursor: TextCursor, header: TunnelHeader) => void;

const UDP_TUNNELS: ReadonlyMap<string, TunnelForm> = new Map<string, TunnelForm>([
  ["vxlan", parseVxlan],
  ["geneve", parseGeneve],
  ["gtpu", parseGtpu],
]);
const IP_TUNNELS: ReadonlyMap<string, TunnelForm> = new Map<string, TunnelForm>([
  ["gre", parseGre],
  ["erspan", parseErspan],
  ["srv6", parseSrv6],
]);
