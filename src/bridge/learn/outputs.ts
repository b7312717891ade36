// The action list that sends a frame to a set of ports, each with or without tag as it wants it. The outputs that want
// the frame as it is come first, then those that want it without tag, then those that want another one: at most one pop
// and one push, where OVS goes back and forth in the order of ports.
import { ACTION, HASH_ALG } from "../../action/attributes.ts";
import { VLAN_CFI } from "../../flow/fields.ts";
import { NlWriter } from "../../flow/nlattr.ts";
import { writeBe16 } from "../../packet/bytes.ts";
import { ETH_TYPE } from "../../packet/link-headers.ts";

export const VID_MASK = 0x0fff;
export const PCP_MASK = 0xe000;

/** The received frame's outer tag. */
export interface FrameTag {
  readonly isTagged: boolean;
  readonly tpid: number;
  /** Priority and VID: what stands in the CFI's place when a tag is on the wire is not told apart, as in OVS. */
  readonly tci: number;
}

export interface Output {
  readonly portNo: number;
  /** Of a bond that balances by conversation: its packets go on by their hash. */
  readonly balance?: { readonly id: number; readonly hashBasis: number; readonly usesLbOutput: boolean };
  /** Priority and VID of the tag that the port wants, 0 for none. */
  readonly tci: number;
}

/** Netlink action attributes; empty (drop) when there are no outputs. All outputs with a tag want the same one. */
export function outputActions(tag: FrameTag, outputs: readonly Output[]): Uint8Array {
  const writer = new NlWriter();
  const send = (group: readonly Output[]): void => {
    for (const { portNo, balance } of group) {
      if (balance === undefined) {
        writer.putU32(ACTION.output, portNo);
      } else if (balance.usesLbOutput) {
        writer.putU32(ACTION.lbOutput, balance.id);
      } else {
        writer.put(ACTION.hash, hashAction(balance.hashBasis));
        writer.putU32(ACTION.recirc, balance.id);
      }
    }
  };
  // A tag of VID 0 and priority 0 says nothing, and OVS takes it off.
  const asIs = outputs.filter(({ tci }) => (tci === 0 ? !tag.isTagged : tag.isTagged && tci === tag.tci));
  const changed = outputs.filter((output) => !asIs.includes(output));
  const tagged = changed.filter(({ tci }) => tci !== 0);
  send(asIs);
  if (changed.length > 0 && tag.isTagged) writer.putFlag(ACTION.popVlan);
  send(changed.filter(({ tci }) => tci === 0));
  if (tagged.length > 0) {
    const push = new Uint8Array(4);
    writeBe16(push, 0, tag.isTagged ? tag.tpid : ETH_TYPE.vlan);
    writeBe16(push, 2, tagged[0]!.tci | VLAN_CFI);
    writer.put(ACTION.pushVlan, push);
  }
  send(tagged);
  return writer.finish();
}

/** struct ovs_action_hash: algorithm and basis, in host order. */
function hashAction(basis: number): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, HASH_ALG.l4, true);
  view.setUint32(4, basis, true);
  return bytes;
}
