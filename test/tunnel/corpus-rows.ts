// Rows of the tunnel corpus: what the real Open vSwitch made of inner packets under sixteen tunnels, and of the same
// packets sent back.

import { ACTION } from "../../src/action/attributes.ts";
import { parseActions } from "../../src/action/odp/parse-actions.ts";
import { attributes } from "../../src/flow/nlattr.ts";
import { readCorpusRows } from "../support/corpora.ts";

export interface TunnelRow {
  readonly tunnel: string;
  readonly options: string;
  readonly inner: string;
  readonly in: string;
  readonly encap_out: readonly string[];
  readonly dp_flows: readonly string[];
  readonly decap_in: string;
  readonly decap_out: readonly string[];
  readonly decap_dp_flows: readonly string[];
}

/** Names of the oracle's ports, and numbers of ours. */
export const ROW_PORTS: ReadonlyMap<string, number> = new Map([
  ["p1", 1],
  ["p2", 2],
  ["p3", 3],
  ["ip1", 4],
  ["br0", 100],
  ["gre_sys", 10],
  ["ip6gre_sys", 11],
  ["erspan_sys", 12],
  ["vxlan_sys_4789", 4789],
  ["vxlan_sys_4790", 4790],
  ["genev_sys_6081", 6081],
  ["gtpu_sys_2152", 2152],
]);

export const tunnelRows = (): TunnelRow[] => readCorpusRows<TunnelRow>("tunnels/tunnels-ovs3.1.jsonl") ?? [];

export const rowName = ({ options, inner }: TunnelRow): string =>
  `${options.replaceAll("options:", "")} ${inner}`;

/** Type and prebuilt header of the tnl_push in a flow's actions. */
export function pushedHeader(flow: string): { type: number; header: Uint8Array } {
  const actions = parseActions(flow.slice(flow.indexOf("actions:") + 8), ROW_PORTS);
  for (const { type, start, end } of attributes(actions)) {
    if (type !== ACTION.tunnelPush) continue;
    const words = new DataView(actions.buffer, actions.byteOffset);
    return { type: words.getUint32(start + 12, true), header: actions.slice(start + 16, end) };
  }
  throw new Error(`no tnl_push in ${flow}`);
}
