// The action list that sends a frame of a VLAN to a set of ports, each with or without tag as it wants it. The outputs
// that want the frame as it is come first, then its tag is changed once for the others.
import { ACTION } from "../../action/attributes.ts";
import { NlWriter } from "../../flow/nlattr.ts";
import { writeBe16 } from "../../packet/bytes.ts";

const TPID_8021Q = 0x8100;
const CFI = 0x1000;
const VID_MASK = 0xfff;

/** The received frame's tag. */
export interface FrameTag {
  readonly isTagged: boolean;
  /** Without CFI: priority, DEI is the CFI's place, and VID. */
  readonly tci: number;
}

export interface Output {
  readonly portNo: number;
  readonly form: "tagged" | "untagged";
}

/** Netlink action attributes; empty (drop) when there are no outputs. */
export function outputActions(tag: FrameTag, vlan: number, outputs: readonly Output[]): Uint8Array {
  const writer = new NlWriter();
  const isAsIs = ({ form }: Output): boolean =>
    form === "tagged" ? tag.isTagged && (tag.tci & VID_MASK) === vlan : !tag.isTagged;
  for (const output of outputs.filter(isAsIs)) writer.putU32(ACTION.output, output.portNo);
  const others = outputs.filter((output) => !isAsIs(output));
  const untagged = others.filter(({ form }) => form === "untagged");
  const tagged = others.filter(({ form }) => form === "tagged");
  if (others.length > 0 && tag.isTagged) writer.put(ACTION.popVlan, new Uint8Array(0));
  for (const output of untagged) writer.putU32(ACTION.output, output.portNo);
  if (tagged.length > 0) {
    const push = new Uint8Array(4);
    writeBe16(push, 0, TPID_8021Q);
    writeBe16(push, 2, (tag.isTagged ? tag.tci & 0xe000 : 0) | CFI | vlan);
    writer.put(ACTION.pushVlan, push);
  }
  for (const output of tagged) writer.putU32(ACTION.output, output.portNo);
  return writer.finish();
}
