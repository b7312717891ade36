// Netlink attributes to flow key and mask, by the rules of OVS's userspace datapath and those that the kernel adds to
// them. A key must have the attributes that its types call for and no others; a mask may look at a layer only where the
// layer below is matched exactly. What is missing from a mask is wildcarded, but for recirc_id, which is exact then,
// and the VLAN tag: a frame without one is matched as such.
//
// Two of OVS's own texts mean something else here than there. A packet_type that is given counts, even without eth():
// OVS takes the flow for one of bare IP packets then. And a truncated VLAN tag (TCI 0, empty encap) keeps its TPID as
// eth_type, as extraction has it, which OVS loses.

import { readBe16 } from "../../packet/bytes.ts";
import { ETH, ETH_TYPE } from "../../packet/link-headers.ts";
import { VLAN_LIMIT_DEFAULT, vlanTagCount } from "../extract.ts";
import { ETH_TYPE_NONE, K, VLAN_CFI } from "../fields.ts";
import { fieldBytes, getNumber, newKey, setBytes, setNumber, setOnes } from "../key.ts";
import { AttributeReader, type ReadOptions } from "./attribute-reader.ts";
import { KEY_ATTR } from "./attributes.ts";
import type { KeyFit, KeyProblem } from "./fit.ts";
import { CT_STATE_FLAGS } from "./flags.ts";
import { structToKey } from "./members.ts";
import { readLayers } from "./to-key-layers.ts";
import { readTunnel } from "./to-key-tunnel.ts";

export interface KeyReading {
  readonly fit: KeyFit;
  /** As far as it was read when the fit is `error`. */
  readonly key: Uint8Array;
  /** Undefined when the fit is `perfect`. */
  readonly problem: KeyProblem | undefined;
}

/** in_port of a key that has none: OVS's ODPP_NONE. */
export const PORT_NONE = 0xffffffff;
/** packet_type's upper half for packets that begin with what an Ethertype names. */
const NAMESPACE_ETHERTYPE = 1;

/** Attributes of a number in host order, and their fields. */
const HOST_NUMBERS = [
  [KEY_ATTR.dpHash, "dp_hash"],
  [KEY_ATTR.priority, "skb_priority"],
  [KEY_ATTR.skbMark, "skb_mark"],
  [KEY_ATTR.ctZone, "ct_zone"],
  [KEY_ATTR.ctMark, "ct_mark"],
] as const;

const VLAN_FIELDS = [
  { tpid: "vlan_tpid", tci: "vlan_tci" },
  { tpid: "vlan2_tpid", tci: "vlan2_tci" },
] as const;

export function keyFromAttributes(source: Uint8Array, options: Partial<ReadOptions> = {}): KeyReading {
  const key = newKey();
  return read(new AttributeReader(source, key, key, withDefaults(options)));
}

/** @param flow the key that the mask belongs to, from `keyFromAttributes` */
export function maskFromAttributes(
  source: Uint8Array,
  flow: Uint8Array,
  options: Partial<ReadOptions> = {},
): KeyReading {
  return read(new AttributeReader(source, newKey(), flow, withDefaults(options)));
}

function withDefaults(options: Partial<ReadOptions>): ReadOptions {
  return {
    vlanLimit: vlanTagCount(options.vlanLimit ?? VLAN_LIMIT_DEFAULT),
    acceptVanished: options.acceptVanished ?? false,
  };
}

function read(reader: AttributeReader): KeyReading {
  const fit = reader.open(0, reader.source.length, "") ? readAll(reader) : "error";
  return { fit, key: reader.target, problem: fit === "perfect" ? undefined : reader.problem };
}

function readAll(reader: AttributeReader): KeyFit {
  const metadata = readMetadata(reader);
  if (metadata !== "perfect") return metadata;
  readPacketType(reader);
  const etherType = readEtherType(reader);
  if (etherType !== "perfect") return etherType;
  return isTagged(reader) ? readTags(reader) : readUntagged(reader);
}

function readMetadata(reader: AttributeReader): KeyFit {
  const { target, isMask } = reader;
  if (reader.accept(KEY_ATTR.recircId)) {
    setBytes(target, "recirc_id", reader.payload(KEY_ATTR.recircId));
  } else if (isMask) {
    setOnes(target, "recirc_id");
  }
  for (const [attr, field] of HOST_NUMBERS) {
    if (reader.accept(attr)) setBytes(target, field, reader.payload(attr));
  }
  if (reader.accept(KEY_ATTR.ctState)) {
    const state = readHost32(reader.payload(KEY_ATTR.ctState));
    if (!isMask && state > CT_STATE_FLAGS.allowed) {
      const accepted = `bits of 0x${CT_STATE_FLAGS.allowed.toString(16)}`;
      return reader.fail(KEY_ATTR.ctState, `0x${state.toString(16)} has unknown bits`, accepted);
    }
    setNumber(target, "ct_state", state & CT_STATE_FLAGS.allowed);
  }
  // The attribute is one little-endian number, the field has the bytes in the order of the digits.
  if (reader.accept(KEY_ATTR.ctLabels)) {
    setBytes(target, "ct_label", reader.payload(KEY_ATTR.ctLabels).toReversed());
  }
  for (const attr of [KEY_ATTR.ctOrigTupleIpv4, KEY_ATTR.ctOrigTupleIpv6]) {
    if (reader.accept(attr)) structToKey(attr, reader.payload(attr), target, isMask);
  }
  if (reader.has(KEY_ATTR.tunnel)) {
    const fit = readTunnel(reader);
    if (fit !== "perfect") return fit;
    reader.expect(KEY_ATTR.tunnel);
  }
  if (reader.accept(KEY_ATTR.inPort)) setBytes(target, "in_port", reader.payload(KEY_ATTR.inPort));
  else if (!isMask) setNumber(target, "in_port", PORT_NONE);
  return "perfect";
}

const readHost32 = (bytes: Uint8Array): number =>
  new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);

/** Without packet_type, a key with Ethertype and without eth() is one of packets that begin with that type. */
function readPacketType(reader: AttributeReader): void {
  const { target, flow, isMask } = reader;
  const hasPacketType = reader.accept(KEY_ATTR.packetType);
  if (hasPacketType) {
    structToKey(KEY_ATTR.packetType, reader.payload(KEY_ATTR.packetType), target, isMask);
    if (readBe16(flow, K.packet_type) === NAMESPACE_ETHERTYPE) {
      setBytes(target, "eth_type", fieldBytes(target, "packet_type").slice(2));
    }
  }
  if (reader.accept(KEY_ATTR.ethernet)) {
    structToKey(KEY_ATTR.ethernet, reader.payload(KEY_ATTR.ethernet), target, isMask);
    if (!isMask) setNumber(target, "packet_type", 0);
  } else if (reader.accept(KEY_ATTR.etherType) && !isMask && !hasPacketType) {
    const etherType = readBe16(reader.payload(KEY_ATTR.etherType), 0);
    setNumber(target, "packet_type", NAMESPACE_ETHERTYPE * 0x10000 + etherType);
  }
}

/** The type that is current at this level: a TPID where a tag follows. */
function readEtherType(reader: AttributeReader): KeyFit {
  const { target, flow, isMask } = reader;
  if (!reader.accept(KEY_ATTR.etherType)) return defaultEtherType(reader);
  const etherType = readBe16(reader.payload(KEY_ATTR.etherType), 0);
  const hex = `0x${etherType.toString(16).padStart(4, "0")}`;
  if (!isMask && etherType < ETH.typeMin) {
    return reader.fail(KEY_ATTR.etherType, `${hex} is a length and no Ethertype`, "0x0600 to 0xffff");
  }
  if (isMask && getNumber(flow, "eth_type") < ETH.typeMin && etherType !== 0xffff) {
    const rule = `mask ${hex} looks at parts of a type that the frame does not have`;
    return reader.fail(KEY_ATTR.etherType, rule, "0xffff");
  }
  setNumber(target, "eth_type", etherType);
  return "perfect";
}

function defaultEtherType(reader: AttributeReader): KeyFit {
  const { target, flow, isMask, options } = reader;
  if (!isMask) {
    if (reader.has(KEY_ATTR.ipv4)) setNumber(target, "eth_type", ETH_TYPE.ipv4);
    else if (reader.has(KEY_ATTR.ipv6)) setNumber(target, "eth_type", ETH_TYPE.ipv6);
    else if (reader.has(KEY_ATTR.mpls)) setNumber(target, "eth_type", ETH_TYPE.mpls);
    else setNumber(target, "eth_type", ETH_TYPE_NONE);
  } else if (getNumber(flow, "packet_type") !== 0) {
    setOnes(target, "eth_type");
  } else if (getNumber(flow, "eth_type") < ETH.typeMin && !options.acceptVanished) {
    return reader.fail(KEY_ATTR.etherType, "a frame without Ethertype needs a mask of it", "eth_type 0xffff");
  }
  return "perfect";
}

const isVlanType = (etherType: number): boolean => etherType === ETH_TYPE.vlan || etherType === ETH_TYPE.qinq;

function isTagged({ flow, isMask }: AttributeReader): boolean {
  return isMask ? (getNumber(flow, "vlan_tci") & VLAN_CFI) !== 0 : isVlanType(getNumber(flow, "eth_type"));
}

function readUntagged(reader: AttributeReader): KeyFit {
  const { target, flow, isMask } = reader;
  if (isMask) {
    setOnes(target, "vlan_tpid");
    setOnes(target, "vlan_tci");
    if (reader.accept(KEY_ATTR.vlan)) setBytes(target, "vlan_tci", reader.payload(KEY_ATTR.vlan));
    if (isVlanType(getNumber(flow, "eth_type"))) reader.accept(KEY_ATTR.encap);
  }
  const fit = readLayers(reader);
  return fit === "perfect" ? reader.check() : fit;
}

/** One tag a turn, its headers in the next level. */
function readTags(reader: AttributeReader): KeyFit {
  const { target, flow, isMask, options } = reader;
  for (const { tpid, tci } of VLAN_FIELDS.slice(0, options.vlanLimit)) {
    const hasTag = isMask
      ? (getNumber(flow, tci) & VLAN_CFI) !== 0
      : isVlanType(getNumber(target, "eth_type"));
    if (!hasTag) break;
    const outer = readTag(reader, tpid, tci);
    if (outer !== "inner") return outer;
    const etherType = readEtherType(reader);
    if (etherType !== "perfect") return etherType;
    const layers = readLayers(reader);
    if (layers !== "perfect") return layers;
  }
  if (isMask) acceptTruncatedTag(reader);
  return reader.check();
}

/** An inner tag of which the frame has nothing but the TPID is written as an empty one. */
function acceptTruncatedTag(reader: AttributeReader): void {
  if (!isVlanType(getNumber(reader.flow, "eth_type"))) return;
  if (reader.accept(KEY_ATTR.vlan)) setBytes(reader.target, "vlan2_tci", reader.payload(KEY_ATTR.vlan));
  reader.accept(KEY_ATTR.encap);
}

type TagFields = (typeof VLAN_FIELDS)[number];

/** Reads a tag and enters its encap. Answers "inner" when there is something to read behind it. */
function readTag(reader: AttributeReader, tpid: TagFields["tpid"], tci: TagFields["tci"]): KeyFit | "inner" {
  const { target, isMask, options } = reader;
  const hasEncap = reader.has(KEY_ATTR.encap);
  const hasVlan = reader.has(KEY_ATTR.vlan);
  if (!isMask || hasVlan) reader.expect(KEY_ATTR.vlan);
  if (!isMask || hasEncap) reader.expect(KEY_ATTR.encap);
  const fit = reader.check();
  const value = hasVlan ? readBe16(reader.payload(KEY_ATTR.vlan), 0) : 0;
  const typeBytes = fieldBytes(target, "eth_type").slice();
  if (isMask && readBe16(typeBytes, 0) !== 0xffff) {
    return reader.fail(KEY_ATTR.etherType, "the TPID of a tag is matched in part", "eth_type mask 0xffff");
  }
  if (!isMask) {
    const vanished = options.acceptVanished && !hasVlan && hasEncap;
    if (!hasEncap || (!hasVlan && !vanished)) return missingTagPart(reader, hasVlan);
    if (hasVlan && value === 0) {
      if (fit === "perfect" && reader.payload(KEY_ATTR.encap).length > 0) {
        reader.fail(KEY_ATTR.encap, "a TCI of 0 is a truncated tag, which has nothing behind it", "encap()");
        return "too_much";
      }
      return fit;
    }
    if (hasVlan && (value & VLAN_CFI) === 0) {
      const rule = `TCI 0x${value.toString(16).padStart(4, "0")} is not 0 but has the CFI bit (0x1000) not set`;
      return reader.fail(KEY_ATTR.vlan, rule, "a TCI with CFI, or 0 for a truncated tag");
    }
  }
  setBytes(target, tpid, typeBytes);
  setNumber(target, "eth_type", 0);
  setNumber(target, tci, !isMask && !hasVlan ? VLAN_CFI : value);
  if (isMask && !hasEncap) return fit;
  return reader.enter(KEY_ATTR.encap) ? "inner" : "error";
}

function missingTagPart(reader: AttributeReader, hasVlan: boolean): KeyFit {
  const [attr, name] = hasVlan ? ([KEY_ATTR.encap, "encap"] as const) : ([KEY_ATTR.vlan, "vlan"] as const);
  reader.fail(attr, `${name} is missing behind a VLAN Ethertype`, `${name}(...)`);
  return "too_little";
}
