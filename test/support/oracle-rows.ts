// The rows of test/oracle/*.jsonl: what they hold, and how the real Open vSwitch is asked for one. The
// recorder writes rows with it, the test of the recorded rows asks again, and the rooms' own tests read them.

import type { Oracle } from "./oracle.ts";

/** One row of extract.jsonl. */
export interface RecordedExtract {
  /** other_config:vlan-limit that the key was extracted under. */
  readonly vlanLimit: 1 | 2;
  readonly hex: string;
  /** The key as ODP text, without METADATA_TEXT in front. */
  readonly key: string;
}

/** One row of actions.jsonl, all with a vlan-limit of 1. */
export interface RecordedActions {
  readonly in: string;
  readonly flow: string;
  readonly actions: string;
  /** By port, and in order within a port. */
  readonly out: readonly { readonly port: number; readonly hex: string }[];
  /** Keys of action upcalls in order: of the packet as it was then, without METADATA_TEXT. */
  readonly upcalls: readonly string[];
  /** How dpctl/dump-flows prints flow and actions back. */
  readonly flowDump: string;
  readonly actionsDump: string;
  /** The flow's counters after the packet. */
  readonly packets: number;
  readonly bytes: number;
}

/**
 * What every recorded key begins with: metadata of a packet received on port 1 that nothing was done with.
 */
export const METADATA_TEXT =
  "skb_priority(0),skb_mark(0),ct_state(0),ct_zone(0),ct_mark(0),ct_label(0),recirc_id(0),dp_hash(0)," +
  "in_port(1),packet_type(ns=0,id=0),";

/** Packets are asked for on this port. */
export const RECORDED_IN_PORT = 1;

const DUMP_LINE = /^(.*), packets:(\d+), bytes:(\d+), used:[^,]*,(?: flags:[^,]*,)? actions:(.*)$/;

function withoutMetadata(key: string): string {
  if (!key.startsWith(METADATA_TEXT)) throw new Error(`oracle: a key with other metadata: ${key}`);
  return key.slice(METADATA_TEXT.length);
}

/** The oracle's keys of packets; the vlan-limit is the one that the oracle was started with. */
export async function askKeys(oracle: Oracle, packets: readonly string[]): Promise<string[]> {
  await oracle.delFlows();
  return (await oracle.extractKeys(packets, RECORDED_IN_PORT)).map(withoutMetadata);
}

/** What the oracle does with one packet under one flow. Throws when the flow is refused or does not match. */
export async function askActions(
  oracle: Oracle,
  packet: string,
  flow: string,
  actions: string,
): Promise<RecordedActions> {
  await oracle.delFlows();
  const added = await oracle.addFlow(flow, actions);
  if (added.code !== 0) throw new Error(`oracle: add-flow ${flow} ${actions}: ${added.text.trimEnd()}`);
  oracle.outputs();
  await oracle.upcalls();
  await oracle.receive(RECORDED_IN_PORT, packet);
  const upcalls = await oracle.upcalls();
  const dump = await oracle.dumpFlows();
  const line = dump.length === 1 ? DUMP_LINE.exec(dump[0]!) : null;
  if (line === null || upcalls.some((upcall) => upcall.kind === "miss")) {
    throw new Error(`oracle: ${packet} did not match ${flow}:\n${dump.join("\n")}`);
  }
  const out: { port: number; hex: string }[] = [];
  for (const [port, packets] of oracle.outputs()) for (const hex of packets) out.push({ port, hex });
  return {
    in: packet,
    flow,
    actions,
    out,
    upcalls: upcalls.map((upcall) => withoutMetadata(upcall.key)),
    flowDump: line[1]!,
    actionsDump: line[4]!,
    packets: Number(line[2]),
    bytes: Number(line[3]),
  };
}
