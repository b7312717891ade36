// The learning policy: a VLAN-aware Ethernet switch, OVS's NORMAL. A frame teaches on which port its source is; it goes to
// the port of its destination, or to all ports of its VLAN when that is unknown or a group. Frames to the reserved
// addresses 01:80:c2:00:00:0x (802.1D section 7.12.6) go nowhere, and none goes back where it came from.
//
// The megaflow of a decision looks at what the decision looked at: the port, both addresses, the tag, the Ethertype (which
// every flow has to match) and, as OVS's do, whether an IP packet is a fragment. Source addresses are matched, so the
// first frame of a new source always comes up and is learned.
import { K, VLAN_CFI } from "../../flow/fields.ts";
import { getNumber, newKey, setNumber, setOnes } from "../../flow/key.ts";
import { ETH_TYPE } from "../../packet/link-headers.ts";
import type { Changes, Decision, Policy } from "../../upcall/policy.ts";
import { type MacEntry, MacTable } from "./mac-table.ts";
import { type FrameTag, type Output, outputActions } from "./outputs.ts";
import { inputVlan, isSameVlan, outputForm, type PortVlan, TRUNK_OF_ALL } from "./vlan.ts";

export interface LearnOptions {
  readonly macAgingMillis: number;
  /** Most addresses. */
  readonly macTableSize: number;
}

const VID_MASK = 0xfff;
/** The reserved group addresses, the last four bits left out. */
const RESERVED_GROUP = 0x0180c2000000 / 16;
const GROUP_BIT = 0x010000000000;

const isGroup = (mac: number): boolean => Math.floor(mac / GROUP_BIT) % 2 === 1;
const isReserved = (mac: number): boolean => Math.floor(mac / 16) === RESERVED_GROUP;

/** What a decision rests on. */
interface Frame {
  readonly inPort: number;
  readonly source: number;
  readonly destination: number;
  readonly tag: FrameTag;
  /** Undefined when the port does not take the frame. */
  readonly vlan: number | undefined;
}

export class LearnPolicy implements Policy {
  readonly macs: MacTable;
  readonly #ports = new Map<number, PortVlan>();
  #changedAll = false;
  #flushedMillis = Number.NEGATIVE_INFINITY;
  #changedMacs = new Set<string>();
  readonly #noteChange = (vlan: number, mac: number): void => {
    this.#changedMacs.add(`${vlan}/${mac}`);
  };

  constructor({ macTableSize, macAgingMillis }: LearnOptions) {
    this.macs = new MacTable(macTableSize, macAgingMillis);
  }

  /** A port came, or its VLANs are others now; what was learned on it in its old VLANs is forgotten, as in OVS. */
  setPort(portNo: number, vlan: PortVlan = TRUNK_OF_ALL): void {
    const before = this.#ports.get(portNo);
    if (before !== undefined && !isSameVlan(before, vlan)) this.macs.forgetPort(portNo);
    this.#ports.set(portNo, vlan);
    this.#changedAll = true;
  }

  removePort(portNo: number): void {
    if (!this.#ports.delete(portNo)) return;
    this.macs.forgetPort(portNo);
    this.#changedAll = true;
  }

  /** Learned addresses, the last used first. */
  entries(): MacEntry[] {
    return this.macs.list();
  }

  /** Forgets all addresses; packets of before do not bring them back. */
  flush(nowMillis: number): void {
    this.macs.flush();
    this.#flushedMillis = nowMillis;
    this.#changedAll = true;
  }

  decide(key: Uint8Array, nowMillis: number): Decision {
    const frame = this.#frame(key);
    if (this.#teaches(frame))
      this.macs.learn(frame.vlan, frame.source, frame.inPort, nowMillis, this.#noteChange);
    return this.#decision(key, frame);
  }

  review(key: Uint8Array): Decision {
    return this.#decision(key, this.#frame(key));
  }

  refresh(key: Uint8Array, usedMillis: number): void {
    const frame = this.#frame(key);
    if (usedMillis <= this.#flushedMillis || !this.#teaches(frame)) return;
    this.macs.refresh(frame.vlan, frame.source, frame.inPort, usedMillis, this.#noteChange);
  }

  tick(nowMillis: number): void {
    this.macs.expire(nowMillis, this.#noteChange);
  }

  takeChanges(): Changes | null {
    if (!this.#changedAll && this.#changedMacs.size === 0) return null;
    const all = this.#changedAll;
    const macs = this.#changedMacs;
    this.#changedAll = false;
    this.#changedMacs = new Set();
    return {
      all,
      touches: (key) => {
        const { vlan, destination } = this.#frame(key);
        return macs.has(`${vlan}/${destination}`);
      },
    };
  }

  /** What is not let in teaches nothing, as in OVS: neither a VLAN that the port does not have nor a reserved address. */
  #teaches(frame: Frame): frame is Frame & { readonly vlan: number } {
    return frame.vlan !== undefined && !isGroup(frame.source) && !isReserved(frame.destination);
  }

  #frame(key: Uint8Array): Frame {
    const inPort = getNumber(key, "in_port");
    const tci = getNumber(key, "vlan_tci");
    const tag = { isTagged: (tci & VLAN_CFI) !== 0, tci };
    const port = this.#ports.get(inPort);
    return {
      inPort,
      source: readMac(key, K.eth_src),
      destination: readMac(key, K.eth_dst),
      tag,
      vlan: port && inputVlan(port, tag.isTagged ? tci & VID_MASK : 0),
    };
  }

  #decision(key: Uint8Array, frame: Frame): Decision {
    const outputs = this.#outputs(frame);
    const actions = outputActions(frame.tag, frame.vlan ?? 0, outputs);
    return { kind: "flow", mask: decisionMask(key, frame.tag), actions };
  }

  #outputs({ inPort, destination, vlan }: Frame): Output[] {
    if (vlan === undefined || isReserved(destination)) return [];
    const known = isGroup(destination) ? undefined : this.macs.find(vlan, destination);
    if (known === inPort) return [];
    const candidates = known === undefined ? [...this.#ports.keys()].sort((a, b) => a - b) : [known];
    return candidates.flatMap((portNo) => {
      const port = this.#ports.get(portNo);
      const form = port && portNo !== inPort ? outputForm(port, vlan) : undefined;
      return form === undefined ? [] : [{ portNo, form }];
    });
  }
}

function readMac(key: Uint8Array, offset: number): number {
  let mac = 0;
  for (let index = 0; index < 6; index += 1) mac = mac * 256 + key[offset + index]!;
  return mac;
}

function decisionMask(key: Uint8Array, tag: FrameTag): Uint8Array {
  const mask = newKey();
  for (const name of ["in_port", "recirc_id", "packet_type", "eth_src", "eth_dst", "eth_type"] as const)
    setOnes(mask, name);
  if (tag.isTagged) {
    setOnes(mask, "vlan_tpid");
    // A priority tag's bits move into the tag that takes its place; of other tags only the VID is looked at.
    setNumber(mask, "vlan_tci", (tag.tci & VID_MASK) === 0 ? 0xffff : VLAN_CFI | VID_MASK);
  } else {
    setOnes(mask, "vlan_tci");
  }
  const etherType = getNumber(key, "eth_type");
  if (etherType === ETH_TYPE.ipv4 || etherType === ETH_TYPE.ipv6) setOnes(mask, "nw_frag");
  return mask;
}
