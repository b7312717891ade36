// bond/list, show, hash, migrate, set-active-member, enable-member, disable-member, and dpif-netdev/bond-show: texts as OVS
// 3.1 prints them. LACP does not exist here and is always off.
import type { BondChange, BondChangeAnswer } from "../../bridge/bond/bond-change.ts";
import type { BondMemberView, BondView } from "../../bridge/bond/bond-view.ts";
import { sourceHash } from "../../bridge/bond/hash.ts";
import { BOND_BUCKETS } from "../../memory/region-plan.ts";
import { type Command, CommandError } from "../command.ts";
import { namesDatapath, type SwitchView } from "../switch-view.ts";
import { answer } from "./answer.ts";

/** The bonds from another thread. */
export interface BondsView {
  /** In the order of the configuration. */
  list(): Promise<readonly BondView[]>;
  change(change: BondChange): Promise<BondChangeAnswer>;
}

const NO_MAC = "00:00:00:00:00:00";
const KB = 1024;
/** OFPP_NONE as a datapath port: what a bucket without member shows. */
const NO_PORT_NO = 0xffffffff;

export function bondCommands(view: SwitchView, bonds: BondsView): Command[] {
  return [list(bonds), show(bonds), hash(), ...changes(bonds), datapathShow(view, bonds)];
}

function list(bonds: BondsView): Command {
  return {
    name: "bond/list",
    usage: "",
    summary: "bonds with their members",
    argumentCountMin: 0,
    argumentCountMax: 0,
    run: async () => {
      const all = await bonds.list();
      const lines = all.map(
        ({ name, mode, id, members }) =>
          `${name}\t${mode}\t${mode === "active-backup" ? 0 : id}\t${members.map((member) => member.name).join(", ")}`,
      );
      return answer(["bond\ttype\trecircID\tmembers", ...lines], all);
    },
  };
}

function show(bonds: BondsView): Command {
  return {
    name: "bond/show",
    usage: "[port]",
    summary: "state of a bond, or of all, and of their members",
    argumentCountMin: 0,
    argumentCountMax: 1,
    run: async ([name]) => {
      const all = await bonds.list();
      const shown = name === undefined ? all : all.filter((bond) => bond.name === name);
      if (name !== undefined && shown.length === 0) throw new CommandError("no such bond");
      return answer(shown.flatMap(bondLines), shown);
    },
  };
}

function bondLines(bond: BondView): string[] {
  const { mode, nextRebalanceMillis, active } = bond;
  const recirculates = mode === "balance-tcp";
  return [
    `---- ${bond.name} ----`,
    `bond_mode: ${mode}`,
    `bond may use recirculation: ${recirculates ? "yes" : "no"}, Recirc-ID : ${recirculates ? bond.id : -1}`,
    `bond-hash-basis: ${bond.hashBasis}`,
    `lb_output action: ${bond.lbOutput ? "enabled" : "disabled"}, bond-id: ${bond.lbOutput ? bond.id : -1}`,
    ...(mode === "balance-slb" ? [`all members active: ${bond.allMembersActive}`] : []),
    `updelay: ${bond.updelayMillis} ms`,
    `downdelay: ${bond.downdelayMillis} ms`,
    ...(nextRebalanceMillis === null ? [] : [`next rebalance: ${nextRebalanceMillis} ms`]),
    "lacp_status: off",
    "lacp_fallback_ab: false",
    `active-backup primary: ${bond.primary ?? "<none>"}`,
    `active member mac: ${bond.activeMac ?? NO_MAC}(${active ?? "none"})`,
    ...[...bond.members]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .flatMap((member) => memberLines(member, member.name === active, nextRebalanceMillis !== null)),
    "",
  ];
}

function memberLines(member: BondMemberView, isActive: boolean, isBalanced: boolean): string[] {
  const { name, enabled, mayEnable, delayMillis, buckets } = member;
  const loaded = buckets.filter(({ bytes }) => bytes >= KB);
  return [
    "",
    `member ${name}: ${enabled ? "enabled" : "disabled"}`,
    ...(isActive ? ["  active member"] : []),
    ...(delayMillis === null ? [] : [`  ${enabled ? "downdelay" : "updelay"} expires in ${delayMillis} ms`]),
    `  may_enable: ${mayEnable}`,
    ...(isBalanced
      ? loaded.map(({ bucket, bytes }) => `  hash ${bucket}: ${Math.floor(bytes / KB)} kB load`)
      : []),
  ];
}

function hash(): Command {
  return {
    name: "bond/hash",
    usage: "mac [vlan] [basis]",
    summary: "the bucket of balance-slb that an address falls in",
    argumentCountMin: 1,
    argumentCountMax: 3,
    run: ([macText, vlanText, basisText]) => {
      const vlan = readNumber(vlanText, "invalid vlan") & 0xffff;
      const basis = readNumber(basisText, "invalid basis");
      const bytes =
        /^([0-9a-f]{1,2}):([0-9a-f]{1,2}):([0-9a-f]{1,2}):([0-9a-f]{1,2}):([0-9a-f]{1,2}):([0-9a-f]{1,2})/i.exec(
          macText!,
        );
      if (bytes === null) throw new CommandError("invalid mac");
      const mac = bytes.slice(1).reduce((number, byte) => number * 256 + Number.parseInt(byte, 16), 0);
      const bucket = sourceHash(mac, vlan, basis) % BOND_BUCKETS;
      return answer(String(bucket), { hash: bucket });
    },
  };
}

/** A number at the text's beginning, as OVS's scan reads it; 0 when there is no text. */
function readNumber(text: string | undefined, message: string): number {
  if (text === undefined) return 0;
  const found = /^\s*(\d+)/.exec(text);
  if (found === null) throw new CommandError(message);
  return Number(found[1]) >>> 0;
}

function changes(bonds: BondsView): Command[] {
  const command = (
    name: string,
    usage: string,
    summary: string,
    changeOf: (args: readonly string[]) => BondChange,
  ): Command => ({
    name,
    usage,
    summary,
    argumentCountMin: usage.split(" ").length,
    argumentCountMax: usage.split(" ").length,
    run: async (args) => {
      const { done, text } = await bonds.change(changeOf(args));
      if (!done) throw new CommandError(text);
      return answer(text, { answer: text });
    },
  });
  const ofMember =
    (op: BondChange["op"]) =>
    ([bond, member]: readonly string[]): BondChange => ({ op, bond: bond!, member: member! });
  return [
    command(
      "bond/migrate",
      "port hash member",
      "give a bucket of balance-slb to a member",
      ([bond, hash, member]) => ({
        op: "migrate",
        bond: bond!,
        member: member!,
        hash: hash!,
      }),
    ),
    command("bond/set-active-member", "port member", "make a member the active one", ofMember("activate")),
    command("bond/enable-member", "port member", "enable a member, skipping its updelay", ofMember("enable")),
    command(
      "bond/disable-member",
      "port member",
      "disable a member, skipping its downdelay",
      ofMember("disable"),
    ),
  ];
}

function datapathShow(view: SwitchView, bonds: BondsView): Command {
  return {
    name: "dpif-netdev/bond-show",
    usage: "[dp]",
    summary: "the member of each bucket of bonds with lb_output",
    argumentCountMin: 0,
    argumentCountMax: 1,
    run: async ([datapath]) => {
      if (datapath !== undefined && !namesDatapath(view, datapath))
        throw new CommandError("please specify an existing datapath");
      const shown = (await bonds.list())
        .filter(({ lbOutput }) => lbOutput)
        .map(({ id, members }) => ({ bondId: id, members: bucketMembers(members) }));
      const lines = shown.flatMap(({ bondId, members }) => [
        `  bond-id ${bondId}:`,
        ...members.map((portNo, bucket) => `    bucket ${bucket} - member ${portNo ?? NO_PORT_NO}`),
      ]);
      return answer(lines.length === 0 ? [] : ["Bonds:", ...lines], shown);
    },
  };
}

/** By bucket. */
function bucketMembers(members: readonly BondMemberView[]): (number | null)[] {
  const portNos = new Array<number | null>(BOND_BUCKETS).fill(null);
  for (const { portNo, buckets } of members) for (const { bucket } of buckets) portNos[bucket] = portNo;
  return portNos;
}
