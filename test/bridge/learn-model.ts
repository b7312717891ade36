// A VLAN-aware learning switch as one would explain it: lists, and frames as text. What the policy is
// compared with.
import { printActions } from "../../src/action/odp/print-actions.ts";
import type { VlanMode } from "../../src/bridge/learn/vlan.ts";

export interface ModelPort {
  readonly mode: VlanMode;
  readonly tag: number;
  readonly trunks: readonly number[];
}

export interface ModelFrame {
  readonly inPort: number;
  readonly source: number;
  readonly destination: number;
  /** Null: no tag. */
  readonly tag: { readonly vid: number; readonly pcp: number } | null;
}

export const isGroupMac = (mac: number): boolean => (BigInt(mac) & (1n << 40n)) !== 0n;
export const isReservedMac = (mac: number): boolean =>
  mac.toString(16).padStart(12, "0").startsWith("0180c200000");

const carries = (port: ModelPort, vlan: number): boolean => {
  if (port.mode === "access") return port.tag === vlan;
  if (port.mode !== "trunk" && port.tag === vlan) return true;
  if (port.mode !== "trunk" && vlan === 0) return false;
  return port.trunks.length === 0 || port.trunks.includes(vlan);
};

const showTag = (vid: number, pcp: number): string => `vid=${vid},pcp=${pcp}`;

export class LearnModel {
  readonly ports = new Map<number, ModelPort>();
  macs: { vlan: number; mac: number; portNo: number; usedMillis: number }[] = [];
  readonly #agingMillis: number;

  constructor(agingMillis: number) {
    this.#agingMillis = agingMillis;
  }

  age(nowMillis: number): void {
    this.macs = this.macs.filter((row) => nowMillis - row.usedMillis < this.#agingMillis);
  }

  forgetPort(portNo: number): void {
    this.macs = this.macs.filter((row) => row.portNo !== portNo);
  }

  /** The frame is learned from; where it goes, each port with the tag that the frame has there. */
  receive(frame: ModelFrame, nowMillis: number): string[] {
    const vlan = this.#vlanOf(frame);
    if (vlan === undefined || isReservedMac(frame.destination) || isGroupMac(frame.source)) return [];
    this.macs = this.macs.filter((row) => row.vlan !== vlan || row.mac !== frame.source);
    this.macs.push({ vlan, mac: frame.source, portNo: frame.inPort, usedMillis: nowMillis });
    const known = this.macs.find((row) => row.vlan === vlan && row.mac === frame.destination)?.portNo;
    const targets = known === undefined ? [...this.ports.keys()] : [known];
    return targets
      .filter((portNo) => portNo !== frame.inPort && carries(this.ports.get(portNo)!, vlan))
      .map((portNo) => `${portNo}: ${this.#tagAt(this.ports.get(portNo)!, vlan, frame.tag?.pcp ?? 0)}`)
      .sort();
  }

  #vlanOf({ inPort, tag }: ModelFrame): number | undefined {
    const port = this.ports.get(inPort);
    if (port === undefined) return undefined;
    const isTagged = tag !== null && tag.vid !== 0;
    if (isTagged) return port.mode !== "access" && carries(port, tag.vid) ? tag.vid : undefined;
    if (port.mode !== "trunk") return port.tag;
    return carries(port, 0) ? 0 : undefined;
  }

  #tagAt(port: ModelPort, vlan: number, pcp: number): string {
    const isNative = port.mode === "native-untagged" && port.tag === vlan;
    const isBare = port.mode === "access" || isNative || (vlan === 0 && pcp === 0);
    return isBare ? "bare" : showTag(vlan, pcp);
  }
}

/** What an action list does to a frame with this tag: each output and the tag there. */
export function carriedOut(actions: Uint8Array, tag: ModelFrame["tag"]): string[] {
  let now = tag === null ? "bare" : showTag(tag.vid, tag.pcp);
  const outputs: string[] = [];
  const text = printActions(actions);
  if (text === "drop") return [];
  for (const action of text.match(/[a-z_]+(\([^)]*\))?|\d+/g) ?? []) {
    if (/^\d+$/.test(action)) outputs.push(`${action}: ${now}`);
    else if (action === "pop_vlan") {
      if (now === "bare") throw new Error(`pop_vlan of a frame without tag: ${text}`);
      now = "bare";
    } else if (action.startsWith("push_vlan(vid")) {
      if (now !== "bare") throw new Error(`push_vlan onto a tag: ${text}`);
      now = action.slice("push_vlan(".length, -1);
    } else throw new Error(`the policy has no ${action}: ${text}`);
  }
  return outputs.sort();
}
