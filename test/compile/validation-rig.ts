// A table with flows of many kinds, and the program for it: what validations are tried on.
import { parseActions } from "../../src/action/odp/parse-actions.ts";
import type { ProgramSource } from "../../src/compile/program-module.ts";
import { readMasks } from "../../src/compile/table-masks.ts";
import type { ValidationTarget } from "../../src/compile/validate/validator.ts";
import { parseMatch } from "../../src/flow/odp/match.ts";
import type { Arena } from "../../src/memory/arena.ts";
import { readShapes } from "../../src/table/shape-store.ts";
import { TableWriter } from "../../src/table/table-writer.ts";
import { createTestArena } from "../support/dataplane.ts";
import { SEED } from "../support/seed.ts";

/** As bridges and controllers install them. */
export const FLOWS: readonly (readonly [match: string, actions: string])[] = [
  ["recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)", "2"],
  ["recirc_id(0),in_port(2),eth(),eth_type(0x0800),ipv4(dst=10.1.0.0/255.255.0.0,frag=no)", "1,3"],
  [
    "recirc_id(0),in_port(3),eth(),eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=6,frag=no),tcp(src=1024,dst=80)",
    "set(ipv4(src=192.0.2.1)),set(tcp(src=4000)),4",
  ],
  [
    "recirc_id(0),in_port(3),eth(),eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=17,frag=no),udp(src=1024,dst=53)",
    "set(udp(dst=5353)),4,trunc(64),5",
  ],
  [
    "recirc_id(0),in_port(4),eth(src=02:00:00:00:00:01),eth_type(0x86dd),ipv6(frag=no)",
    "push_vlan(vid=7,pcp=0),1",
  ],
  [
    "recirc_id(0),in_port(5),eth(),eth_type(0x8100),vlan(vid=7),encap(eth_type(0x0800),ipv4(frag=no))",
    "pop_vlan,1",
  ],
  [
    "recirc_id(0),in_port(7),eth(),eth_type(0x0800),ipv4(dst=10.2.0.0/255.255.0.0,ttl=64,frag=no)",
    "set(eth(src=02:00:00:00:00:aa,dst=02:00:00:00:00:bb)),set(ipv4(ttl=63)),2",
  ],
  ["recirc_id(0),in_port(6),eth(),eth_type(0x0806),arp(op=1)", "drop"],
];

export interface Subject extends ValidationTarget {
  readonly arena: Arena;
  readonly source: ProgramSource;
}

/** @param flows of FLOWS, from the first */
export function subject(flows = FLOWS): Subject {
  const { arena, epochs } = createTestArena();
  const table = new TableWriter(arena, epochs);
  for (const [match, actions] of flows) {
    const put = table.put({
      ...parseMatch(match),
      actions: parseActions(actions),
      create: true,
      modify: false,
      operator: true,
      nowMillis: 0,
    });
    if (put.error !== null) throw new Error(`${match}: ${put.error}`);
  }
  const source = { masks: readMasks(arena), shapes: readShapes(arena), vlanLimit: 1, debugLedger: false };
  return { arena, source, sizes: arena.plan.sizes, hashSeed: SEED };
}
