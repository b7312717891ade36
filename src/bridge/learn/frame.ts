// What the learning policy looks at in a flow key.
import { K, VLAN_CFI } from "../../flow/fields.ts";
import { getNumber } from "../../flow/key.ts";
import { ETH_TYPE } from "../../packet/link-headers.ts";
import type { Bonds, Membership } from "../bond/bonds.ts";
import { readMac } from "./address.ts";
import { type FrameTag, PCP_MASK, VID_MASK } from "./outputs.ts";
import { inputVlan, type PortVlan } from "./vlan.ts";

const BROADCAST = 0xff_ff_ff_ff_ff_ff;
const ARP_REQUEST = 1;
const ARP_REPLY = 2;

export interface Frame {
  /** The port that it came in by: the bond's, where that is a member of one. */
  readonly inPort: number;
  readonly membership: Membership | undefined;
  readonly source: number;
  readonly destination: number;
  readonly tag: FrameTag;
  /** Undefined when the port does not take the frame. */
  readonly vlan: number | undefined;
  /** ARP to everybody: whether it is gratuitous counts where there are bonds. */
  readonly isArpBroadcast: boolean;
  /** A station tells that it is here: a reply to everybody, or a request for its own address. */
  readonly isGratuitousArp: boolean;
}

/** Undefined when no port of the policy received it, or it is no Ethernet frame just received. */
export function readFrame(
  key: Uint8Array,
  ports: ReadonlyMap<number, PortVlan>,
  bonds: Bonds,
): Frame | undefined {
  const membership = bonds.byPort(getNumber(key, "in_port"));
  const inPort = membership?.bond.portNo ?? getNumber(key, "in_port");
  const port = ports.get(inPort);
  if (port === undefined || getNumber(key, "recirc_id") !== 0 || getNumber(key, "packet_type") !== 0) {
    return undefined;
  }
  const tci = getNumber(key, "vlan_tci");
  const isTagged = (tci & VLAN_CFI) !== 0;
  const destination = readMac(key, K.eth_dst);
  const isArpBroadcast = destination === BROADCAST && getNumber(key, "eth_type") === ETH_TYPE.arp;
  return {
    inPort,
    membership,
    source: readMac(key, K.eth_src),
    destination,
    tag: { isTagged, tpid: getNumber(key, "vlan_tpid"), tci: tci & (PCP_MASK | VID_MASK) },
    vlan: inputVlan(port, isTagged ? tci & VID_MASK : 0),
    isArpBroadcast,
    isGratuitousArp: isArpBroadcast && isGratuitous(key),
  };
}

function isGratuitous(key: Uint8Array): boolean {
  const opcode = getNumber(key, "nw_proto");
  if (opcode === ARP_REPLY) return true;
  return opcode === ARP_REQUEST && getNumber(key, "nw_src") === getNumber(key, "nw_dst");
}
