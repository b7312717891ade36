// What commands change about a bond, with OVS's answers: for the time being, that is until a link or a rebalance says
// otherwise.

import { BOND_BUCKETS } from "../../memory/region-plan.ts";
import type { Bonds } from "./bonds.ts";

export interface BondChange {
  readonly op: "migrate" | "activate" | "enable" | "disable";
  readonly bond: string;
  readonly member: string;
  /** To migrate: a bucket, as it was typed. */
  readonly hash?: string;
}

export interface BondChangeAnswer {
  readonly done: boolean;
  readonly text: string;
}

const done = (text: string): BondChangeAnswer => ({ done: true, text });
const refused = (text: string): BondChangeAnswer => ({ done: false, text });

export function changeBond(bonds: Bonds, change: BondChange, now: number): BondChangeAnswer {
  const answer = carryOut(bonds, change);
  bonds.run(now);
  return answer;
}

function carryOut(
  bonds: Bonds,
  { op, bond: name, member: memberName, hash = "" }: BondChange,
): BondChangeAnswer {
  const bond = bonds.byName(name);
  if (bond === undefined) return refused("no such bond");
  if (op === "migrate" && bond.settings.mode !== "balance-slb") return refused("not an SLB bond");
  if (op === "migrate" && !/^\d+$/.test(hash)) return refused("bad hash");
  const member = bond.member(memberName);
  if (member === undefined) return refused("no such member");
  switch (op) {
    case "migrate":
      if (!member.isEnabled) return refused("cannot migrate to disabled member");
      bond.migrate(Number(hash) % BOND_BUCKETS, member);
      return done("migrated");
    case "activate":
      if (!member.isEnabled) return refused("cannot make disabled member active");
      if (bond.active === member) return done("no change");
      bond.setActive(member);
      return done("done");
    case "enable":
      bond.enable(member, true);
      return done("enabled");
    case "disable":
      bond.enable(member, false);
      return done("disabled");
  }
}
