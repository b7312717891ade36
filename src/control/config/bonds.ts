// Bonds in millrace.yaml: what one may say, the rules between bonds and ports, and what the handler is told of them.
import * as v from "valibot";
import { BOND_MODES, type BondSettings } from "../../bridge/bond/bond.ts";
import { portVlan } from "../../bridge/learn/vlan.ts";
import { portName, vlanMode, wholeNumber } from "./values.ts";

/** lb_output's table has room for so many; number 0 is none's. */
const BONDS_MAX = 127;
/** OVS's least interval; 0 is "never". */
const REBALANCE_MILLIS_MIN = 1000;
const DELAY_MILLIS_MAX = 3_600_000;

export const bondSchema = v.strictObject({
  name: portName,
  members: v.array(portName, "names of ports are expected"),
  mode: v.optional(v.picklist(BOND_MODES, BOND_MODES.join(", ")), "active-backup"),
  primary: v.optional(portName),
  "lb-output-action": v.optional(v.boolean("true or false is expected"), false),
  "rebalance-interval-millis": v.optional(wholeNumber(0, DELAY_MILLIS_MAX), 10_000),
  "updelay-millis": v.optional(wholeNumber(0, DELAY_MILLIS_MAX), 0),
  "downdelay-millis": v.optional(wholeNumber(0, DELAY_MILLIS_MAX), 0),
  "hash-basis": v.optional(wholeNumber(0, 0xffffffff), 0),
  "all-members-active": v.optional(v.boolean("true or false is expected"), false),
  vlan: v.optional(vlanMode),
});
export type BondConfig = v.InferOutput<typeof bondSchema>;

interface Ports {
  readonly ports: readonly { readonly name: string; readonly vlan?: unknown }[];
  readonly bonds: readonly BondConfig[];
}

interface Problem {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** Rules that no single setting can tell. */
export function bondProblems({ ports, bonds }: Ports): Problem[] {
  const problems: Problem[] = [];
  const taken = new Map<string, string>();
  const names = new Set(ports.map(({ name }) => name));
  if (bonds.length > BONDS_MAX)
    problems.push({ path: ["bonds"], message: `${BONDS_MAX} bonds are the most` });
  for (const [index, bond] of bonds.entries()) {
    const add = (setting: string, message: string, place?: number): void =>
      void problems.push({
        path: ["bonds", index, setting, ...(place === undefined ? [] : [place])],
        message,
      });
    if (names.has(bond.name)) add("name", `"${bond.name}" is a port's or another bond's name`);
    names.add(bond.name);
    if (bond.members.length < 2) add("members", "a bond has two members or more");
    for (const [place, member] of bond.members.entries()) {
      const port = ports.find(({ name }) => name === member);
      const owner = taken.get(member);
      if (port === undefined) add("members", `there is no port "${member}"`, place);
      else if (owner !== undefined)
        add("members", `port "${member}" is a member of bond "${owner}" already`, place);
      else if (port.vlan !== undefined)
        add("members", `port "${member}" has a vlan of its own; that of a bond stands with the bond`, place);
      taken.set(member, bond.name);
    }
    for (const [setting, message] of ownProblems(bond)) add(setting, message);
  }
  return problems;
}

function ownProblems(bond: BondConfig): [setting: string, message: string][] {
  const { mode, primary, members } = bond;
  const problems: [string, string][] = [];
  const wants = (setting: keyof BondConfig, isSet: boolean, wanted: string): void => {
    if (isSet && mode !== wanted) problems.push([setting, `it means something only with mode: ${wanted}`]);
  };
  wants("primary", primary !== undefined, "active-backup");
  wants("lb-output-action", bond["lb-output-action"], "balance-tcp");
  wants("all-members-active", bond["all-members-active"], "balance-slb");
  if (primary !== undefined && !members.includes(primary))
    problems.push(["primary", `"${primary}" is no member of the bond`]);
  const interval = bond["rebalance-interval-millis"];
  if (interval > 0 && interval < REBALANCE_MILLIS_MIN)
    problems.push(["rebalance-interval-millis", `${REBALANCE_MILLIS_MIN} is the least; 0 means never`]);
  if (bond.vlan?.mode === "access" && bond.vlan.tag === undefined)
    problems.push(["vlan", "an access port needs a tag"]);
  return problems;
}

/** Bonds are numbered from 1, in the file's order. */
export function bondSettings(bonds: readonly BondConfig[]): BondSettings[] {
  return bonds.map((bond, index) => ({
    id: index + 1,
    name: bond.name,
    members: bond.members,
    mode: bond.mode,
    usesLbOutput: bond["lb-output-action"],
    primary: bond.primary,
    rebalanceMillis: bond["rebalance-interval-millis"],
    updelayMillis: bond["updelay-millis"],
    downdelayMillis: bond["downdelay-millis"],
    hashBasis: bond["hash-basis"],
    takesGroupsEverywhere: bond["all-members-active"],
    vlan: portVlan(bond.vlan ?? {}),
  }));
}
