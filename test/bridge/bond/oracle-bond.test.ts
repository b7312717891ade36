// A bond under the learning policy against the real OVS's under NORMAL: the same frames into the same ports give the same
// frames out of the same ports, while links go down and come back, the active member changes and buckets move. Random
// VLANs, hosts that move, gratuitous ARP and its reflections. Which member OVS takes of itself depends on its hash tables,
// so both are told: the active one, and the member of each bucket in use. OVS's clock stands still, so that locks of
// addresses hold in both; both forget their datapath flows after each frame, so that each is decided.
import fc from "fast-check";
import t from "tap";
import type { BondMode } from "../../../src/bridge/bond/bond.ts";
import { sourceHash } from "../../../src/bridge/bond/hash.ts";
import { portVlan, VLAN_MODES } from "../../../src/bridge/learn/vlan.ts";
import { buildFrame } from "../../../src/packet/builder.ts";
import { arp, ethernet, vlan } from "../../../src/packet/builder-link.ts";
import { ipv4 } from "../../../src/packet/builder-network.ts";
import { udp } from "../../../src/packet/builder-transport.ts";
import { bytesToHex } from "../../../src/packet/bytes.ts";
import type { DummyPort } from "../../../src/port/dummy/driver.ts";
import { Oracle, oracleSkipReason } from "../../support/oracle.ts";
import { SEED } from "../../support/seed.ts";
import { HandlerRig } from "../../upcall/rig.ts";
import { bondSettings } from "./settings.ts";

const PORTS = 5;
const MEMBERS = ["p1", "p2"] as const;
const SETUPS = 3;
const STEPS = 60;
const HASHES = 200;
const VLANS = [10, 20] as const;
const HOSTS = ["02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"] as const;
const GROUPS = ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "01:80:c2:00:00:00"] as const;
const BROADCAST = GROUPS[0];
/** Commands behind which OVS's main loop has been round twice. */
const BARRIER = 20;
/** RARP, tagged or not, by which OVS tells the other side where stations are when the active member changes. */
const LEARNING = /^.{24}(8100.{4})?8035/;

const bondVlan = fc.record({
  mode: fc.constantFrom(...VLAN_MODES),
  tag: fc.constantFrom(...VLANS),
  trunks: fc.subarray([0, ...VLANS]),
});

const frame = fc.record({
  what: fc.constant("frame" as const),
  portNo: fc.integer({ min: 1, max: PORTS }),
  src: fc.constantFrom(...HOSTS),
  dst: fc.constantFrom(...HOSTS, ...GROUPS, BROADCAST),
  tag: fc.option(fc.record({ vid: fc.constantFrom(0, ...VLANS), pcp: fc.constantFrom(0, 5) })),
  payload: fc.constantFrom("ip", "request", "announcement", "reply"),
});
const link = fc.record({
  what: fc.constant("link" as const),
  member: fc.constantFrom(...MEMBERS),
  isUp: fc.boolean(),
});
const active = fc.record({ what: fc.constant("active" as const), member: fc.constantFrom(...MEMBERS) });
const migrate = fc.record({ what: fc.constant("migrate" as const), seed: fc.nat(1000) });
const step = fc.oneof(
  { weight: 10, arbitrary: frame },
  { weight: 1, arbitrary: link },
  { weight: 1, arbitrary: active },
  { weight: 1, arbitrary: migrate },
);
type Frame = typeof frame extends fc.Arbitrary<infer T> ? T : never;
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const macNumber = (mac: string): number => Number.parseInt(mac.replaceAll(":", ""), 16);

function frameBytes({ src, dst, tag, payload }: Frame): Uint8Array {
  const link = [ethernet({ src, dst }), ...(tag === null ? [] : [vlan(tag)])];
  if (payload === "ip") return buildFrame([...link, ipv4(), udp()], new Uint8Array(30));
  const spa = "10.0.0.1";
  const tpa = payload === "announcement" ? spa : "10.0.0.2";
  return buildFrame([...link, arp({ operation: payload === "reply" ? 2 : 1, spa, tpa })], new Uint8Array(18));
}

class Pair {
  readonly oracle: Oracle;
  readonly rig: HandlerRig;
  readonly ports: readonly DummyPort[];
  readonly mode: BondMode;

  constructor(oracle: Oracle, rig: HandlerRig, ports: readonly DummyPort[], mode: BondMode) {
    this.oracle = oracle;
    this.rig = rig;
    this.ports = ports;
    this.mode = mode;
  }

  get bond() {
    return this.rig.core.bonds.byName("bond0")!;
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < BARRIER; turn += 1) await this.oracle.appctl("version");
  }

  async link(member: string, isUp: boolean): Promise<void> {
    await this.oracle.appctl("netdev-dummy/set-admin-state", member, isUp ? "up" : "down");
    await this.settle();
    this.ports[MEMBERS.indexOf(member as "p1")]!.setUp(isUp);
    await this.align(member);
  }

  /** Has both take this member, or one that is enabled, for active, and spread buckets alike. */
  async align(wanted: string, seed = 0): Promise<void> {
    const enabled = this.bond.members.filter(({ isEnabled }) => isEnabled);
    const member = enabled.find(({ name }) => name === wanted) ?? enabled[0];
    if (member === undefined) return;
    const answer = await this.oracle.appctl("bond/set-active-member", "bond0", member.name);
    if (answer.code !== 0) throw new Error(answer.text);
    if (this.bond.active !== member) this.bond.setActive(member);
    if (this.mode !== "balance-slb") return;
    for (const [index, host] of HOSTS.entries()) {
      for (const vid of [0, ...VLANS]) {
        const bucket = sourceHash(macNumber(host), vid, 0) & 0xff;
        const holder = enabled[(index + vid + seed) % enabled.length]!;
        await this.oracle.appctl("bond/migrate", "bond0", String(bucket), holder.name);
        this.bond.migrate(bucket, holder);
      }
    }
  }

  async frame(given: Frame): Promise<{ ours: unknown; theirs: unknown }> {
    const bytes = frameBytes(given);
    await this.oracle.delFlows();
    this.rig.core.table.flush();
    this.rig.housekeep();
    this.rig.clock.advance(1);
    await this.oracle.receive(given.portNo, bytesToHex(bytes));
    this.ports[given.portNo - 1]!.inject(bytes);
    this.rig.settle();
    const theirs = [...this.oracle.outputs()]
      .map(([portNo, packets]): [number, string[]] => [portNo, packets.filter((hex) => !LEARNING.test(hex))])
      .filter(([, packets]) => packets.length > 0)
      .sort(([a], [b]) => a - b);
    const ours = this.ports
      .map((port): [number, string[]] => [
        port.portNo,
        port
          .take()
          .map(bytesToHex)
          .filter((hex) => !LEARNING.test(hex)),
      ])
      .filter(([, packets]) => packets.length > 0);
    return { ours, theirs };
  }

  /** Announcements of stations since they were last asked for: port and bytes. */
  announcements(): { ours: string[]; theirs: string[] } {
    const show = (portNo: number, packets: readonly string[]): string[] =>
      packets.filter((hex) => LEARNING.test(hex)).map((hex) => `${portNo} ${hex}`);
    const theirs = [...this.oracle.outputs()].flatMap(([portNo, packets]) => show(portNo, packets));
    const ours = this.ports.flatMap((port) => show(port.portNo, port.take().map(bytesToHex)));
    return { ours: ours.sort(), theirs: theirs.sort() };
  }

  async fdb(): Promise<{ ours: unknown; theirs: unknown }> {
    const { text } = await this.oracle.appctl("fdb/show", "br0");
    const theirs = text
      .trimEnd()
      .split("\n")
      .slice(1)
      .map((line) => line.trim().split(/\s+/).slice(1, 3).join(" "))
      .sort();
    const ours = this.rig.core
      .learn!.entries()
      .map(
        ({ vlan: vid, mac }) =>
          `${vid} ${mac
            .toString(16)
            .padStart(12, "0")
            .replace(/..(?=.)/g, "$&:")}`,
      )
      .sort();
    return { ours, theirs };
  }

  /** Whether a port of the frame is up: OVS's dummy receives nothing when it is down, as ours. */
  isUp(portNo: number): boolean {
    return this.ports[portNo - 1]!.status().up;
  }
}

for (const mode of ["active-backup", "balance-slb"] as const) {
  t.test(`${mode} sends what OVS's sends`, { skip: oracleSkipReason() }, async (t) => {
    const setups = fc.sample(fc.tuple(bondVlan, fc.array(step, { minLength: STEPS, maxLength: STEPS })), {
      seed: SEED,
      numRuns: SETUPS,
    });
    const oracle = await Oracle.start({ portCount: PORTS });
    t.teardown(() => oracle.stop());
    oracle.vsctl("set-fail-mode", "br0", "standalone");
    oracle.vsctl(...MEMBERS.flatMap((name) => ["del-port", "br0", name, "--"]).slice(0, -1));
    await oracle.addBond("bond0", MEMBERS, `bond_mode=${mode}`);
    await oracle.appctl("time/stop");
    for (const [vlanOfBond, steps] of setups) {
      const isTrunk = vlanOfBond.mode === "trunk";
      const isAccess = vlanOfBond.mode === "access";
      const given = portVlan({
        mode: vlanOfBond.mode,
        tag: isTrunk ? undefined : vlanOfBond.tag,
        trunks: isAccess ? [] : vlanOfBond.trunks,
      });
      oracle.vsctl(
        ...["set", "port", "bond0", `vlan_mode=${given.mode}`, `tag=${isTrunk ? "[]" : given.tag}`],
        `trunks=[${given.trunks.join(",")}]`,
      );
      await oracle.appctl("fdb/flush");
      const rig = new HandlerRig({ bonds: [bondSettings({ mode, vlan: given })] });
      const pair = new Pair(oracle, rig, await rig.addDummies(PORTS), mode);
      for (const member of MEMBERS) await pair.link(member, true);
      if (!(await sameSteps(t, pair, given, steps))) return;
      t.equal(await rig.close(), 0, "every frame is free");
    }
  });
}

for (const mode of ["active-backup", "balance-slb"] as const) {
  t.test(
    `${mode}: stations are announced by another active member`,
    { skip: oracleSkipReason() },
    async (t) => {
      const oracle = await Oracle.start({ portCount: PORTS });
      t.teardown(() => oracle.stop());
      oracle.vsctl("set-fail-mode", "br0", "standalone");
      oracle.vsctl(...MEMBERS.flatMap((name) => ["del-port", "br0", name, "--"]).slice(0, -1));
      await oracle.addBond("bond0", MEMBERS, `bond_mode=${mode}`);
      const rig = new HandlerRig({ bonds: [bondSettings({ mode })] });
      const pair = new Pair(oracle, rig, await rig.addDummies(PORTS), mode);
      for (const member of MEMBERS) await pair.link(member, true);
      await pair.align("p1");
      const common = { what: "frame", dst: BROADCAST, payload: "ip" } as const;
      // Two stations beside the bond, one of them in a VLAN, and one behind it, which needs no word.
      await pair.frame({ ...common, portNo: 3, src: HOSTS[0], tag: null });
      await pair.frame({ ...common, portNo: 4, src: HOSTS[1], tag: { vid: 10, pcp: 5 } });
      await pair.frame({ ...common, portNo: 1, src: HOSTS[2], tag: null });
      pair.announcements();
      await pair.align("p2");
      await pair.settle();
      rig.clock.advance(1);
      rig.housekeep();
      rig.settle();
      const { ours, theirs } = pair.announcements();
      t.strictSame(ours, theirs);
      t.equal(ours.length, 2);
      t.equal(rig.imbalance(), 0, "the books balance");
      t.equal(await rig.close(), 0, "every frame is free");
    },
  );
}

async function sameSteps(
  t: { strictSame(found: unknown, wanted: unknown, message: string): boolean },
  pair: Pair,
  given: unknown,
  steps: readonly Step[],
): Promise<boolean> {
  for (const [index, one] of steps.entries()) {
    if (one.what === "link") await pair.link(one.member, one.isUp);
    else if (one.what === "active") await pair.align(one.member);
    else if (one.what === "migrate") await pair.align(pair.bond.active?.name ?? "p1", one.seed);
    else if (pair.isUp(one.portNo)) {
      const { ours, theirs } = await pair.frame(one);
      const so = JSON.stringify({
        given,
        index,
        one,
        active: pair.bond.active?.name,
        before: steps.slice(0, index),
      });
      if (!t.strictSame(ours, theirs, so)) return false;
    }
    const { ours, theirs } = await pair.fdb();
    if (!t.strictSame(ours, theirs, `addresses after step ${index}: ${JSON.stringify(one)}`)) return false;
  }
  return true;
}

t.test("bond/hash answers what ours computes", { skip: oracleSkipReason() }, async (t) => {
  const oracle = await Oracle.start();
  t.teardown(() => oracle.stop());
  const given = fc.tuple(fc.nat(2 ** 24), fc.nat(2 ** 24), fc.nat(4095), fc.nat(0xffffffff));
  for (const [high, low, vid, basis] of fc.sample(given, { seed: SEED, numRuns: HASHES })) {
    const mac = (high % 2 ** 24) * 2 ** 24 + (low % 2 ** 24);
    const text = mac
      .toString(16)
      .padStart(12, "0")
      .replace(/..(?=.)/g, "$&:");
    const { text: theirs } = await oracle.appctl("bond/hash", text, String(vid), String(basis));
    t.equal(String(sourceHash(mac, vid, basis) & 0xff), theirs.trim(), `${text} ${vid} ${basis}`);
  }
});
