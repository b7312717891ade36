// From the Ethertype inwards: MPLS, network and transport headers, neighbour discovery.

import { readBe16, readBe32 } from "../../packet/bytes.ts";
import { ETH_TYPE, MPLS } from "../../packet/link-headers.ts";
import { IP_PROTOCOL } from "../../packet/network-headers.ts";
import { ICMPV6_TYPE } from "../../packet/transport-headers.ts";
import { type FieldName, FRAG_LATER } from "../fields.ts";
import { getNumber, isOnes, setBytes, setNumber } from "../key.ts";
import type { AttributeReader } from "./attribute-reader.ts";
import { KEY_ATTR, KEY_ATTR_ROWS, MPLS_LABELS_MAX } from "./attributes.ts";
import type { KeyFit } from "./fit.ts";
import { TCP_FLAGS } from "./flags.ts";
import { structToKey } from "./members.ts";
import { readNsh } from "./to-key-tunnel.ts";
import { IPV6_LABEL_MAX, isAll } from "./values.ts";

const NETWORK_ATTRS: ReadonlyMap<number, number> = new Map<number, number>([
  [ETH_TYPE.ipv4, KEY_ATTR.ipv4],
  [ETH_TYPE.ipv6, KEY_ATTR.ipv6],
  [ETH_TYPE.arp, KEY_ATTR.arp],
  [ETH_TYPE.rarp, KEY_ATTR.arp],
  [ETH_TYPE.nsh, KEY_ATTR.nsh],
]);

const LSE_FIELDS = ["mpls_lse0", "mpls_lse1", "mpls_lse2"] as const satisfies readonly FieldName[];

/** An ICMP type is one byte in a two-byte field: this is its exact mask. */
const ICMP_EXACT = 0xff;
/** Offsets of frag and of ipv6's label, arp's opcode in their structs. */
const IPV4_FRAG_AT = 11;
const IPV6_FRAG_AT = 39;
const IPV6_LABEL_AT = 32;
const ARP_OP_AT = 8;

/** Notes in the reader what this flow calls for; the caller compares. */
export function readLayers(reader: AttributeReader): KeyFit {
  const etherType = getNumber(reader.flow, "eth_type");
  if (etherType === ETH_TYPE.mpls || etherType === ETH_TYPE.mplsMulticast) return readMpls(reader);
  const attr = NETWORK_ATTRS.get(etherType);
  if (attr === undefined) return "perfect";
  const network = readNetwork(reader, attr);
  return network === "perfect" ? readTransport(reader, etherType) : network;
}

function readMpls(reader: AttributeReader): KeyFit {
  const { target, isMask, options } = reader;
  if (!isMask) reader.expect(KEY_ATTR.mpls);
  if (!reader.accept(KEY_ATTR.mpls)) return "perfect";
  const payload = reader.payload(KEY_ATTR.mpls);
  const labels = payload.length / MPLS.entryBytes;
  if (!Number.isInteger(labels)) {
    return reader.fail(KEY_ATTR.mpls, `${payload.length} bytes are no whole labels`, "4, 8 or 12 bytes");
  }
  if (labels > MPLS_LABELS_MAX) {
    reader.fail(KEY_ATTR.mpls, `${labels} labels`, `at most ${MPLS_LABELS_MAX}`);
    return "too_much";
  }
  for (let index = 0; index < labels; index++) {
    setBytes(target, LSE_FIELDS[index]!, payload.subarray(index * 4, index * 4 + 4));
  }
  if (isMask) return mayMatch(reader, KEY_ATTR.mpls, payload);
  const isBottom = (index: number): boolean => (readBe32(payload, index * 4) & MPLS.bottomMask) !== 0;
  for (let index = 0; index < labels - 1; index++) {
    if (isBottom(index)) {
      return reader.fail(
        KEY_ATTR.mpls,
        `label ${index} of ${labels} has bos=1`,
        "bos=1 in the last label alone",
      );
    }
  }
  // No labels at all is a stack of which nothing could be read.
  if (labels > 0 && labels < MPLS_LABELS_MAX && !isBottom(labels - 1) && !options.acceptVanished) {
    reader.fail(KEY_ATTR.mpls, "the last label has bos=0, so there are more", "bos=1 in the last label");
    return "too_little";
  }
  return "perfect";
}

/** The network layer is looked at only under an exact Ethertype. */
function mayMatch(reader: AttributeReader, attr: number, payload: Uint8Array): KeyFit {
  if (isAll(payload, 0) || isOnes(reader.target, "eth_type")) return "perfect";
  const mask = `0x${getNumber(reader.target, "eth_type").toString(16).padStart(4, "0")}`;
  const name = KEY_ATTR_ROWS[attr]!.name;
  return reader.fail(attr, `${name} is matched under the eth_type mask ${mask}`, "eth_type mask 0xffff");
}

function readNetwork(reader: AttributeReader, attr: number): KeyFit {
  const { target, isMask } = reader;
  if (!isMask) reader.expect(attr);
  if (!reader.accept(attr)) return "perfect";
  const payload = reader.payload(attr);
  const fit = attr === KEY_ATTR.nsh ? readNsh(reader) : checkNetwork(reader, attr, payload);
  if (fit !== "perfect") return fit;
  if (attr !== KEY_ATTR.nsh) structToKey(attr, payload, target, isMask);
  return isMask ? mayMatch(reader, attr, attr === KEY_ATTR.nsh ? nshBits(target) : payload) : "perfect";
}

/** The bits of a mask that nsh has, without the headers of its attributes. */
const nshBits = (mask: Uint8Array): Uint8Array =>
  Uint8Array.from(NSH_FIELDS, (name) => (getNumber(mask, name) === 0 ? 0 : 1));
const NSH_FIELDS = [
  "nsh_flags",
  "nsh_ttl",
  "nsh_mdtype",
  "nsh_np",
  "nsh_path_hdr",
  "nsh_context0",
  "nsh_context1",
  "nsh_context2",
  "nsh_context3",
] as const satisfies readonly FieldName[];

function checkNetwork(reader: AttributeReader, attr: number, payload: Uint8Array): KeyFit {
  const { isMask } = reader;
  if (attr === KEY_ATTR.arp) {
    const operation = readBe16(payload, ARP_OP_AT);
    if (!isMask && operation > 0xff) return reader.fail(attr, `opcode ${operation}`, "an opcode up to 255");
    return "perfect";
  }
  const frag = payload[attr === KEY_ATTR.ipv4 ? IPV4_FRAG_AT : IPV6_FRAG_AT]!;
  if (!isMask && frag > FRAG_LATER) {
    return reader.fail(attr, `frag ${frag}`, "0 (no), 1 (first) or 2 (later)");
  }
  if (attr === KEY_ATTR.ipv6 && readBe32(payload, IPV6_LABEL_AT) > IPV6_LABEL_MAX) {
    return reader.fail(
      attr,
      "a label of more than 20 bits",
      `a label up to 0x${IPV6_LABEL_MAX.toString(16)}`,
    );
  }
  return "perfect";
}

function readTransport(reader: AttributeReader, etherType: number): KeyFit {
  const { target, flow, isMask } = reader;
  const attr = transportAttr(flow, etherType);
  if (attr === undefined) return "perfect";
  if (!isMask) reader.expect(attr);
  const isPresent = reader.accept(attr);
  if (isPresent) structToKey(attr, reader.payload(attr), target, isMask);
  if (attr === KEY_ATTR.tcp && reader.accept(KEY_ATTR.tcpFlags)) {
    const flags = readBe16(reader.payload(KEY_ATTR.tcpFlags), 0) & TCP_FLAGS.allowed;
    setNumber(target, "tcp_flags", flags);
  }
  if (isPresent && attr === KEY_ATTR.icmpv6) {
    const fit = readNeighborDiscovery(reader);
    if (fit !== "perfect") return fit;
  }
  return isMask ? checkTransportMask(reader, attr) : "perfect";
}

/** The transport attribute that a key of this type has, by its protocol; later fragments have none. */
export function transportAttr(flow: Uint8Array, etherType: number): number | undefined {
  if (etherType !== ETH_TYPE.ipv4 && etherType !== ETH_TYPE.ipv6) return undefined;
  if (getNumber(flow, "nw_frag") === FRAG_LATER) return undefined;
  switch (getNumber(flow, "nw_proto")) {
    case IP_PROTOCOL.tcp:
      return KEY_ATTR.tcp;
    case IP_PROTOCOL.udp:
      return KEY_ATTR.udp;
    case IP_PROTOCOL.sctp:
      return KEY_ATTR.sctp;
    case IP_PROTOCOL.icmp:
      return etherType === ETH_TYPE.ipv4 ? KEY_ATTR.icmp : undefined;
    case IP_PROTOCOL.icmpv6:
      return etherType === ETH_TYPE.ipv6 ? KEY_ATTR.icmpv6 : undefined;
    default:
      return undefined;
  }
}

/** The transport layer is looked at only under an exact protocol. */
function checkTransportMask(reader: AttributeReader, attr: number): KeyFit {
  const { target } = reader;
  if (isOnes(target, "nw_proto")) return "perfect";
  for (const field of ["tp_src", "tp_dst", "tcp_flags"] as const) {
    if (getNumber(target, field) === 0) continue;
    const proto = `0x${getNumber(target, "nw_proto").toString(16)}`;
    return reader.fail(attr, `${field} is matched under the protocol mask ${proto}`, "proto mask 0xff");
  }
  return "perfect";
}

export function isNeighborDiscovery(flow: Uint8Array): boolean {
  const type = getNumber(flow, "tp_src");
  return (
    getNumber(flow, "tp_dst") === 0 &&
    (type === ICMPV6_TYPE.neighborSolicitation || type === ICMPV6_TYPE.neighborAdvertisement)
  );
}

function readNeighborDiscovery(reader: AttributeReader): KeyFit {
  const { target, flow, isMask } = reader;
  if (!isNeighborDiscovery(flow)) return "perfect";
  if (!isMask) reader.expect(KEY_ATTR.nd);
  for (const attr of [KEY_ATTR.nd, KEY_ATTR.ndExtensions]) {
    if (!reader.accept(attr)) continue;
    const payload = reader.payload(attr);
    structToKey(attr, payload, target, isMask);
    if (!isMask || isAll(payload, 0)) continue;
    const isCodeOpen = attr === KEY_ATTR.ndExtensions && getNumber(target, "tp_dst") !== ICMP_EXACT;
    if (getNumber(target, "tp_src") !== ICMP_EXACT || isCodeOpen) {
      const what = attr === KEY_ATTR.nd ? "type" : "type and code";
      const rule = `${KEY_ATTR_ROWS[attr]!.name} is matched without an exact icmpv6 ${what}`;
      return reader.fail(attr, rule, `icmpv6 ${what} with mask 0xff`);
    }
  }
  return "perfect";
}
