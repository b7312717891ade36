// What a validation found: the first thing in which a program and the reference differ.
import { printActions } from "../../action/odp/print-actions.ts";
import { formatMatch } from "../../flow/odp/match.ts";
import { bytesToHex } from "../../packet/bytes.ts";
import type { LaidPacket } from "./world.ts";

export type Stage =
  | "extraction"
  | "look-up"
  | "outputs"
  | "counters"
  | "flow statistics"
  | "frames"
  | "transmission"
  /** The program trapped, or what it left behind stopped the engine. */
  | "failure";

export interface Difference {
  readonly stage: Stage;
  /** Which thing it is: a key's field, a counter, an output by its place. */
  readonly what: string;
  readonly reference: string;
  readonly program: string;
  /** The burst in which it showed, cut down to one packet where that alone shows it. */
  readonly packets: readonly LaidPacket[];
  readonly inPort: number;
  /** Flow that the first packet hits in the reference, as ODP text; "" when none or unknown. */
  readonly flow: string;
}

export class Differs extends Error {
  readonly difference: Omit<Difference, "packets" | "inPort" | "flow">;
  /** Of the burst, where it concerns one. */
  readonly slot: number | null;

  constructor(stage: Stage, what: string, reference: string, program: string, slot: number | null = null) {
    super(`${stage}: ${what}`);
    this.difference = { stage, what, reference, program };
    this.slot = slot;
  }
}

/** A flow as dumps show it; its mask in hex where OVS has no text for it, as for masks made up here. */
export function flowText(key: Uint8Array, mask: Uint8Array, actions: Uint8Array, vlanLimit: number): string {
  return `${matchText(key, mask, vlanLimit)}, actions:${printActions(actions)}`;
}

function matchText(key: Uint8Array, mask: Uint8Array, vlanLimit: number): string {
  try {
    return formatMatch({ key, mask }, { vlanLimit });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return `key ${bytesToHex(key)} mask ${bytesToHex(mask)} (no text: ${error.message})`;
  }
}

/** Lines for a log. */
export function formatDifference(difference: Difference): string[] {
  const { stage, what, reference, program, packets, inPort, flow } = difference;
  return [
    `${stage} differs: ${what}`,
    `  reference: ${reference}`,
    `  program:   ${program}`,
    ...(flow === "" ? [] : [`  flow: ${flow}`]),
    ...packets.map((packet) => `  packet on port ${inPort}: ${packetText(packet)}`),
  ];
}

function packetText({
  bytes,
  cuts = [],
  headroomBytes,
  flags = 0,
  csumStart,
  csumOffset,
}: LaidPacket): string {
  const lies = [
    ...(cuts.length > 0 ? [`cut at ${cuts.join(" and ")}`] : []),
    ...(headroomBytes === undefined ? [] : [`${headroomBytes} bytes of headroom`]),
    ...(flags === 0 ? [] : [`flags ${flags}, checksum ${csumStart ?? 0}+${csumOffset ?? 0}`]),
  ];
  return `${bytesToHex(bytes)}${lies.length === 0 ? "" : ` (${lies.join(", ")})`}`;
}
