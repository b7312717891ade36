// Flow key and mask to netlink attributes, in the order and with the choices of OVS's datapath: which attributes a flow
// has, its key says; the mask's attributes are those of the key, whatever the mask looks at.
//
// The order is that of OVS 3.1 (metadata, then recirc_id, dp_hash and in_port), which is what its daemon prints;
// newer ones put recirc_id first, and `ovstest test-odp` of the corpora does so.
//
// Where OVS's attributes lose a part of the match we keep it: a tunnel field of zero under a mask, options of ERSPAN
// and GTP-U under a mask, neighbour discovery extensions under a mask.

import { ETH, ETH_TYPE, MPLS, NSH_MD_TYPE } from "../../packet/link-headers.ts";
import { VLAN_LIMIT_DEFAULT, vlanTagCount } from "../extract.ts";
import { type FieldName, K } from "../fields.ts";
import { fieldBytes, getNumber, isZero } from "../key.ts";
import { NlWriter } from "../nlattr.ts";
import { KEY_ATTR, KEY_ATTR_ROWS, NSH_KEY_ATTR } from "./attributes.ts";
import { writeTunnel } from "./from-key-tunnel.ts";
import { structFromKey } from "./members.ts";
import { PORT_NONE } from "./to-key.ts";
import { isNeighborDiscovery, transportAttr } from "./to-key-layers.ts";

export interface ExportOptions {
  /** The vlan-limit that the key was extracted with: 1, as in OVS, when not given; 0 for as many as there can be. */
  readonly vlanLimit?: number;
  /** recirc_id, dp_hash and in_port before the other metadata, as OVS 4 has them. */
  readonly recircFirst?: boolean;
  /** nd_ext whenever a frame has extensions; otherwise only when the mask looks at them, for OVS's daemon never does. */
  readonly ndExtensions?: boolean;
  /** Without the tuples that a connection began with, as `ovstest test-odp`. */
  readonly withoutCtTuples?: boolean;
}

export interface FlowAttributes {
  readonly key: Uint8Array;
  /** Empty when there was no mask. */
  readonly mask: Uint8Array;
}

/** What is written at a time: the key, or the mask in the key's shape. */
interface Export {
  readonly writer: NlWriter;
  /** Chooses the attributes. */
  readonly flow: Uint8Array;
  readonly mask: Uint8Array | undefined;
  /** Gives the values: `flow` or `mask`. */
  readonly data: Uint8Array;
  readonly isMask: boolean;
  readonly options: ExportOptions;
}

const TAGS = [
  { tpid: "vlan_tpid", tci: "vlan_tci" },
  { tpid: "vlan2_tpid", tci: "vlan2_tci" },
] as const satisfies readonly { tpid: FieldName; tci: FieldName }[];

const LSE_FIELDS = ["mpls_lse0", "mpls_lse1", "mpls_lse2"] as const satisfies readonly FieldName[];
/** Byte of an entry whose lowest bit is the bottom of the stack. */
const MPLS_BOTTOM_BYTE = 2;

const NETWORK_ATTRS: ReadonlyMap<number, number> = new Map<number, number>([
  [ETH_TYPE.ipv4, KEY_ATTR.ipv4],
  [ETH_TYPE.ipv6, KEY_ATTR.ipv6],
  [ETH_TYPE.arp, KEY_ATTR.arp],
  [ETH_TYPE.rarp, KEY_ATTR.arp],
]);

export function attributesFromKey(
  key: Uint8Array,
  mask?: Uint8Array | undefined,
  options: ExportOptions = {},
): FlowAttributes {
  const keyAttributes = exportAll(key, mask, key, options);
  if (mask === undefined) return { key: keyAttributes, mask: new Uint8Array(0) };
  return { key: keyAttributes, mask: exportAll(key, mask, mask, options) };
}

function exportAll(
  flow: Uint8Array,
  mask: Uint8Array | undefined,
  data: Uint8Array,
  options: ExportOptions,
): Uint8Array {
  const out: Export = { writer: new NlWriter(), flow, mask, data, isMask: data !== flow, options };
  writeMetadata(out);
  writeLinkLayer(out);
  return out.writer.finish();
}

function putStruct({ writer, data, isMask }: Export, attr: number): void {
  writer.put(attr, structFromKey(attr, Number(KEY_ATTR_ROWS[attr]!.payload), data, isMask));
}

function writeMetadata(out: Export): void {
  const { writer, data, options } = out;
  if (options.recircFirst === true) writeRecirc(out);
  writer.putU32(KEY_ATTR.priority, getNumber(data, "skb_priority"));
  writeTunnel(writer, out.flow, out.mask, data);
  if (options.recircFirst === true) writeInPort(out);
  writer.putU32(KEY_ATTR.skbMark, getNumber(data, "skb_mark"));
  writer.putU32(KEY_ATTR.ctState, getNumber(data, "ct_state"));
  writer.putU16(KEY_ATTR.ctZone, getNumber(data, "ct_zone"));
  writer.putU32(KEY_ATTR.ctMark, getNumber(data, "ct_mark"));
  writer.put(KEY_ATTR.ctLabels, fieldBytes(data, "ct_label").toReversed());
  writeCtTuple(out);
  if (options.recircFirst !== true) {
    writeRecirc(out);
    writeInPort(out);
  }
  putStruct(out, KEY_ATTR.packetType);
}

function writeRecirc({ writer, data }: Export): void {
  writer.putU32(KEY_ATTR.recircId, getNumber(data, "recirc_id"));
  writer.putU32(KEY_ATTR.dpHash, getNumber(data, "dp_hash"));
}

function writeInPort({ writer, flow, data, isMask }: Export): void {
  if (!isMask && getNumber(flow, "in_port") === PORT_NONE) return;
  writer.putU32(KEY_ATTR.inPort, getNumber(data, "in_port"));
}

/** A key has a tuple when it has the tuple's protocol. */
function writeCtTuple(out: Export): void {
  const { flow, options } = out;
  if (options.withoutCtTuples === true || isZero(flow, "ct_nw_proto")) return;
  const etherType = getNumber(flow, "eth_type");
  if (etherType === ETH_TYPE.ipv4) putStruct(out, KEY_ATTR.ctOrigTupleIpv4);
  else if (etherType === ETH_TYPE.ipv6) putStruct(out, KEY_ATTR.ctOrigTupleIpv6);
}

const isVlanType = (etherType: number): boolean => etherType === ETH_TYPE.vlan || etherType === ETH_TYPE.qinq;

/** Tags from the outside in, each with what is inside nested in it; then the type and the layers above. */
function writeLinkLayer(out: Export): void {
  const { writer, flow, data, isMask, options } = out;
  const etherType = getNumber(flow, "eth_type");
  const encaps: number[] = [];
  let isTruncated = false;
  if (isZero(flow, "packet_type")) {
    putStruct(out, KEY_ATTR.ethernet);
    for (const { tpid, tci } of TAGS.slice(0, vlanTagCount(options.vlanLimit ?? VLAN_LIMIT_DEFAULT))) {
      const isAbsent = isZero(flow, tci);
      // A truncated tag leaves its TPID as the type.
      if (isAbsent && !isVlanType(etherType)) break;
      writer.putBe16(KEY_ATTR.etherType, isMask ? 0xffff : isAbsent ? etherType : getNumber(flow, tpid));
      writer.putBe16(KEY_ATTR.vlan, getNumber(data, tci));
      encaps.push(writer.begin(KEY_ATTR.encap));
      isTruncated = isAbsent;
      if (isTruncated) break;
    }
  }
  if (!isTruncated) writeEtherType(out, etherType);
  for (const mark of encaps.reverse()) writer.end(mark);
}

/** A frame without Ethertype has no attribute in the key, and one in a mask that looks at that. */
function writeEtherType(out: Export, etherType: number): void {
  const { writer, data, isMask } = out;
  if (etherType < ETH.typeMin) {
    if (isMask && !isZero(data, "eth_type")) writer.putBe16(KEY_ATTR.etherType, 0xffff);
    return;
  }
  writer.putBe16(KEY_ATTR.etherType, getNumber(data, "eth_type"));
  if (!isVlanType(etherType)) writeLayers(out, etherType);
}

function writeLayers(out: Export, etherType: number): void {
  const { flow } = out;
  const network = NETWORK_ATTRS.get(etherType);
  if (network !== undefined) putStruct(out, network);
  else if (etherType === ETH_TYPE.mpls || etherType === ETH_TYPE.mplsMulticast) writeMpls(out);
  else if (etherType === ETH_TYPE.nsh) writeNsh(out);
  const transport = transportAttr(flow, etherType);
  if (transport === undefined) return;
  putStruct(out, transport);
  if (transport === KEY_ATTR.tcp) writeTcpFlags(out);
  if (transport === KEY_ATTR.icmpv6 && isNeighborDiscovery(flow)) writeNeighborDiscovery(out);
}

/**
 * The labels down to the bottom of the stack; of a stack without bottom as many as are not zero, as OVS counts them,
 * and more if the mask looks at more.
 */
function writeMpls({ writer, flow, mask, data }: Export): void {
  let labels = 0;
  let lookedAt = 0;
  for (const [index, field] of LSE_FIELDS.entries()) {
    if (mask !== undefined && !isZero(mask, field)) lookedAt = index + 1;
    if ((fieldBytes(flow, field)[MPLS_BOTTOM_BYTE]! & 1) !== 0) {
      labels = index + 1;
      break;
    }
    if (!isZero(flow, field)) labels += 1;
  }
  labels = Math.max(labels, lookedAt);
  const payload = new Uint8Array(labels * MPLS.entryBytes);
  for (const [index, field] of LSE_FIELDS.slice(0, labels).entries()) {
    payload.set(fieldBytes(data, field), index * MPLS.entryBytes);
  }
  writer.put(KEY_ATTR.mpls, payload);
}

/** The key has contexts with metadata type 1 only, the mask always. */
function writeNsh({ writer, flow, data, isMask }: Export): void {
  const nested = writer.begin(KEY_ATTR.nsh);
  writer.put(NSH_KEY_ATTR.base, data.subarray(K.nsh_flags, K.nsh_context0));
  if (isMask || getNumber(flow, "nsh_mdtype") === NSH_MD_TYPE.fixed) {
    writer.put(NSH_KEY_ATTR.md1, data.subarray(K.nsh_context0, K.nsh_context3 + 4));
  }
  writer.end(nested);
}

function writeTcpFlags({ writer, mask, data }: Export): void {
  if (isZero(data, "tcp_flags") && (mask === undefined || isZero(mask, "tcp_flags"))) return;
  writer.putBe16(KEY_ATTR.tcpFlags, getNumber(data, "tcp_flags"));
}

/** A mask that leaves the type open has no neighbour discovery. */
function writeNeighborDiscovery(out: Export): void {
  const { data, mask, isMask, options } = out;
  if (isMask && getNumber(data, "tp_src") !== 0xff) return;
  putStruct(out, KEY_ATTR.nd);
  const hasExtensions = (key: Uint8Array): boolean =>
    !isZero(key, "nd_reserved") || !isZero(key, "nd_options_type");
  const isMatched = mask !== undefined && hasExtensions(mask);
  if (isMatched || (options.ndExtensions === true && hasExtensions(data))) {
    putStruct(out, KEY_ATTR.ndExtensions);
  }
}
