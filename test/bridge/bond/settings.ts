// Settings of a bond for tests: what is not said is as the configuration has it.
import type { BondSettings } from "../../../src/bridge/bond/bond.ts";
import { TRUNK_OF_ALL } from "../../../src/bridge/learn/vlan.ts";

export function bondSettings(given: Partial<BondSettings> = {}): BondSettings {
  return {
    id: 1,
    name: "bond0",
    members: ["p1", "p2"],
    mode: "active-backup",
    usesLbOutput: false,
    primary: undefined,
    rebalanceMillis: 10_000,
    updelayMillis: 0,
    downdelayMillis: 0,
    hashBasis: 0,
    takesGroupsEverywhere: false,
    vlan: TRUNK_OF_ALL,
    ...given,
  };
}
