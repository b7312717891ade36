// Cases whose datapath flows the real Open vSwitch makes itself, of an OpenFlow rule: actions that its text of datapath
// flows cannot say (hash, push_mpls, pop_mpls, push_eth, pop_eth, pop_nsh behind them) come about in no other way.
import type { ConformanceCase } from "./case.ts";

export interface RuleCase {
  /** OpenFlow match beside the port: `ip`, `mpls` or nothing. */
  readonly match: string;
  /** As ovs-ofctl takes them. */
  readonly rule: string;
  /** Hex. */
  readonly packets: readonly string[];
}

/** Select groups that the rules may send to: each of a hash of its own kind, and every bucket alike. */
export const GROUPS = [
  "group_id=1,type=select,bucket=output:2,bucket=output:2",
  "group_id=2,type=select,selection_method=dp_hash,bucket=output:3,bucket=output:3",
] as const;
/** Passes what a case sends. */
export const METER = "meter=1,kbps,band=type=drop,rate=4000000";
/** Where check_pkt_larger() goes on: behind its register. */
export const STATIC_RULES = [
  "table=1,reg0=1,actions=output:2",
  "table=1,reg0=0,actions=output:3",
  "table=2,reg0=1,actions=push_vlan:0x8100,set_field:4101->vlan_vid,output:4",
  "table=2,reg0=0,actions=set_field:02:00:00:00:00:77->eth_src,output:2",
] as const;

export const isRuleCase = (given: ConformanceCase | RuleCase): given is RuleCase => "rule" in given;
