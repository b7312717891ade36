// A bond as commands show it, as plain data that crosses threads.

import { BOND_BUCKETS } from "../../memory/region-plan.ts";
import type { Bond, BondMode } from "./bond.ts";

export interface BondMemberView {
  readonly name: string;
  readonly portNo: number | null;
  readonly enabled: boolean;
  /** Whether the bond may use it: its link is up. */
  readonly mayEnable: boolean;
  /** Milliseconds until it is enabled or disabled; null when no delay runs. */
  readonly delayMillis: number | null;
  /** Buckets that it has, with the bytes that each carried lately. */
  readonly buckets: readonly { readonly bucket: number; readonly bytes: number }[];
}

export interface BondView {
  readonly id: number;
  readonly name: string;
  readonly mode: BondMode;
  readonly lbOutput: boolean;
  readonly hashBasis: number;
  readonly allMembersActive: boolean;
  readonly updelayMillis: number;
  readonly downdelayMillis: number;
  /** Null when the load is not balanced. */
  readonly nextRebalanceMillis: number | null;
  readonly primary: string | null;
  readonly active: string | null;
  readonly activeMac: string | null;
  /** In the order of the configuration. */
  readonly members: readonly BondMemberView[];
}

export function viewBond(bond: Bond, now: number): BondView {
  const { settings, active, isBalanced, nextRebalanceMillis } = bond;
  const buckets = Array.from({ length: BOND_BUCKETS }, (_, bucket) => bucket);
  return {
    id: settings.id,
    name: settings.name,
    mode: settings.mode,
    lbOutput: settings.usesLbOutput,
    hashBasis: settings.hashBasis,
    allMembersActive: settings.takesGroupsEverywhere,
    updelayMillis: settings.updelayMillis,
    downdelayMillis: settings.downdelayMillis,
    nextRebalanceMillis: isBalanced ? Math.max(0, Math.round(nextRebalanceMillis - now)) : null,
    primary: settings.primary ?? null,
    active: active?.name ?? null,
    activeMac: active?.link.mac ?? null,
    members: bond.members.map((member) => ({
      name: member.name,
      portNo: member.portNo ?? null,
      enabled: member.isEnabled,
      mayEnable: member.link.isUp,
      delayMillis: Number.isFinite(member.dueMillis) ? Math.round(member.dueMillis - now) : null,
      buckets: buckets
        .filter((bucket) => bond.holder(bucket) === member)
        .map((bucket) => ({ bucket, bytes: bond.charge.bytes(bucket) })),
    })),
  };
}
