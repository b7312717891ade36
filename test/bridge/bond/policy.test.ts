// The learning policy with bonds. Under random frames, links and moves: a decision holds for every key that equals the
// packet's under the mask, and no installed flow goes stale without takeChanges() naming what it rests on. And the flows
// of balance-tcp: hash and recirculation or lb_output, then recirc_id and the hash's low bits, from one to the other.
import fc from "fast-check";
import t from "tap";
import { parseActions } from "../../../src/action/odp/parse-actions.ts";
import { printActions } from "../../../src/action/odp/print-actions.ts";
import { BondPolicy } from "../../../src/bridge/bond/bond-policy.ts";
import { Bonds } from "../../../src/bridge/bond/bonds.ts";
import { LearnPolicy } from "../../../src/bridge/learn/learn-policy.ts";
import { TRUNK_OF_ALL } from "../../../src/bridge/learn/vlan.ts";
import { KeyExtractor } from "../../../src/flow/extract-key.ts";
import { KEY_BYTES } from "../../../src/flow/fields.ts";
import { applyMask, setNumber } from "../../../src/flow/key.ts";
import { formatMatch } from "../../../src/flow/odp/match.ts";
import { buildFrame } from "../../../src/packet/builder.ts";
import { arp, ethernet, vlan } from "../../../src/packet/builder-link.ts";
import { ipv4 } from "../../../src/packet/builder-network.ts";
import type { Decision } from "../../../src/upcall/policy.ts";
import { runs } from "../../support/seed.ts";
import { bondSettings } from "./settings.ts";

const HOSTS = ["02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"] as const;
const BROADCAST = "ff:ff:ff:ff:ff:ff";
/** Ports 1 to 4 are members of two bonds, 5 and 6 stand alone. */
const PORTS = 6;
const STALE_FREE = 1000;

/** What stands outside a mask. */
const noiseOf = fc
  .nat(0xffff)
  .map((seed) => new Uint8Array(KEY_BYTES).map((_, index) => (seed * (index + 3)) >>> 4));

const frame = fc.record({
  what: fc.constant("frame" as const),
  portNo: fc.integer({ min: 1, max: PORTS }),
  src: fc.constantFrom(...HOSTS),
  dst: fc.constantFrom(...HOSTS, BROADCAST, "01:00:5e:00:00:01"),
  vid: fc.constantFrom(undefined, 10),
  arp: fc.constantFrom(undefined, "request", "announcement", "reply"),
  noise: noiseOf,
});
const recirculated = fc.record({
  what: fc.constant("recirculated" as const),
  id: fc.constantFrom(1, 2, 9),
  hash: fc.nat(0xffffffff),
  noise: noiseOf,
});
const event = fc.oneof(
  { weight: 10, arbitrary: frame },
  { weight: 3, arbitrary: recirculated },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constant("link" as const),
      portNo: fc.integer({ min: 1, max: 4 }),
      isUp: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("wait" as const), millis: fc.nat(4000) }) },
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constant("close" as const), portNo: fc.integer({ min: 1, max: 4 }) }),
  },
);
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never;
type Frame = typeof frame extends fc.Arbitrary<infer T> ? T : never;

const show = (decision: Decision | null): string =>
  decision?.kind === "flow"
    ? `${Buffer.from(decision.mask).toString("hex")} ${printActions(decision.actions)}`
    : (decision?.kind ?? "gone");

function keyOf({ portNo, src, dst, vid, arp: kind }: Frame): Uint8Array {
  const link = [ethernet({ src, dst }), ...(vid === undefined ? [] : [vlan({ vid })])];
  const tpa = kind === "announcement" ? "10.0.0.1" : "10.0.0.2";
  const inner =
    kind === undefined ? ipv4() : arp({ operation: kind === "reply" ? 2 : 1, spa: "10.0.0.1", tpa });
  return new KeyExtractor(1).extract(buildFrame([...link, inner], new Uint8Array(30)), portNo);
}

class Rig {
  readonly bonds: Bonds;
  readonly learn: LearnPolicy;
  readonly policy: BondPolicy;
  now = 0;
  readonly #installed = new Map<string, { key: Uint8Array; said: string; subjects: readonly number[] }>();

  constructor(modes: readonly ("active-backup" | "balance-slb" | "balance-tcp")[], usesLbOutput = false) {
    this.bonds = new Bonds(
      modes.map((mode, index) =>
        bondSettings({
          id: index + 1,
          name: `bond${index}`,
          members: [`p${2 * index + 1}`, `p${2 * index + 2}`],
          mode,
          usesLbOutput,
        }),
      ),
    );
    this.learn = new LearnPolicy({ macAgingMillis: 300_000, macTableSize: 1000, bonds: this.bonds });
    this.policy = new BondPolicy(this.bonds, this.learn);
    for (let portNo = 1; portNo <= PORTS; portNo += 1) {
      if (!this.bonds.openPort(portNo, `p${portNo}`, { isUp: true, mac: undefined }, 0))
        this.learn.setPort(portNo, TRUNK_OF_ALL);
    }
    this.policy.takeChanges();
  }

  apply(event: Event): void {
    if (event.what === "link")
      this.bonds.setLink(event.portNo, { isUp: event.isUp, mac: undefined }, this.now);
    if (event.what === "close") this.bonds.closePort(event.portNo, this.now);
    if (event.what === "wait") {
      this.now += event.millis;
      while (this.policy.tick(this.now));
    }
    if (event.what === "frame") this.decide(keyOf(event), event.noise);
    if (event.what === "recirculated") {
      const key = keyOf({
        what: "frame",
        portNo: 5,
        src: HOSTS[0],
        dst: HOSTS[1],
        vid: undefined,
        arp: undefined,
        noise: event.noise,
      });
      setNumber(key, "recirc_id", event.id);
      setNumber(key, "dp_hash", event.hash);
      this.decide(key, event.noise);
    }
    this.#dropStale();
  }

  decide(key: Uint8Array, noise: Uint8Array): Decision {
    this.now += 1;
    const decision = this.policy.decide(key, this.now);
    if (decision.kind !== "flow") return decision;
    const other = key.map(
      (byte, index) => (byte & decision.mask[index]!) | (noise[index]! & ~decision.mask[index]!),
    );
    const said = show(decision);
    // A locked address leaves the flow of a frame that teaches nothing behind; its review has it removed.
    const review = show(this.policy.review(other));
    if (review !== "gone" && review.split(" ").at(-1) !== said.split(" ").at(-1))
      throw new Error(`the mask leaves out what was looked at: ${said} and ${review}`);
    if (review !== "gone")
      this.#installed.set(Buffer.from(applyMask(key, decision.mask)).toString("hex") + said, {
        key: applyMask(key, decision.mask),
        said,
        subjects: decision.subjects,
      });
    return decision;
  }

  #dropStale(): void {
    const changes = this.policy.takeChanges();
    for (const [name, { key, said, subjects }] of this.#installed) {
      if (show(this.policy.review(key)) === said) continue;
      const isTold =
        changes !== null && (changes.all || subjects.some((subject) => changes.subjects.has(subject)));
      if (!isTold) throw new Error(`stale without a word: ${said}, now ${show(this.policy.review(key))}`);
      this.#installed.delete(name);
    }
  }
}

t.test("masks hold and nothing goes stale silently", async () => {
  const modes = fc.constantFrom("active-backup" as const, "balance-slb" as const, "balance-tcp" as const);
  fc.assert(
    fc.property(fc.tuple(modes, modes), fc.array(event, { maxLength: 40 }), (both, events) => {
      const rig = new Rig(both);
      for (const each of events) rig.apply(each);
    }),
    runs(STALE_FREE),
  );
});

t.test("balance-tcp: hash and recirculation, then low bits to a member", async (t) => {
  const rig = new Rig(["balance-tcp"]);
  const noise = new Uint8Array(KEY_BYTES);
  const given = {
    what: "frame",
    src: HOSTS[0],
    dst: HOSTS[1],
    vid: undefined,
    arp: undefined,
    noise,
  } as const;
  const first = rig.decide(keyOf({ ...given, portNo: 5 }), noise);
  t.equal(
    first.kind === "flow" && printActions(first.actions),
    "6,hash(l4(0)),recirc(0x1)".replace("6,", "3,4,6,"),
  );
  const key = keyOf({ ...given, portNo: 5 });
  setNumber(key, "recirc_id", 1);
  setNumber(key, "dp_hash", 0x12345607);
  const second = rig.decide(key, noise);
  if (second.kind !== "flow") throw new Error(second.kind);
  t.equal(
    formatMatch({ key: applyMask(key, second.mask), mask: second.mask }),
    "recirc_id(0x1),dp_hash(0x7/0xff),in_port(5),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(frag=no)",
  );
  const member = rig.bonds.all[0]!.choose(7)!;
  t.equal(printActions(second.actions), String(member.portNo));
  rig.bonds.setLink(member.portNo!, { isUp: false, mac: undefined }, rig.now);
  t.ok(
    second.subjects.some((subject) => rig.policy.takeChanges()!.subjects.has(subject)),
    "it rests on its bucket",
  );
  const after = rig.policy.review(applyMask(key, second.mask));
  t.equal(after?.kind === "flow" && printActions(after.actions), String(3 - member.portNo!), "the other one");
  rig.policy.refresh(applyMask(key, second.mask), rig.now, 4096);
  t.equal(rig.bonds.all[0]!.charge.bytes(7), 4096, "its bytes are the bucket's");
});

t.test("balance-tcp with lb_output: one action", async (t) => {
  const rig = new Rig(["balance-tcp"], true);
  const noise = new Uint8Array(KEY_BYTES);
  const given = {
    what: "frame",
    portNo: 5,
    src: HOSTS[0],
    dst: HOSTS[1],
    vid: undefined,
    arp: undefined,
  } as const;
  const decision = rig.decide(keyOf({ ...given, noise }), noise);
  if (decision.kind !== "flow") throw new Error(decision.kind);
  t.equal(printActions(decision.actions), "3,4,6,lb_output(1)");
  t.same(parseActions("3,4,6,lb_output(1)"), decision.actions);
});

t.test("a frame never goes back out of the bond that it came from", async () => {
  const modes = fc.constantFrom("active-backup" as const, "balance-slb" as const, "balance-tcp" as const);
  fc.assert(
    fc.property(modes, fc.array(frame, { maxLength: 30 }), (mode, frames) => {
      const rig = new Rig([mode]);
      for (const each of frames) {
        const decision = rig.decide(keyOf(each), each.noise);
        if (decision.kind !== "flow" || each.portNo > 2) continue;
        if (/(^|,)[12](,|$)|recirc|lb_output/.test(printActions(decision.actions)))
          throw new Error(`port ${each.portNo}: ${printActions(decision.actions)}`);
      }
    }),
    runs(300),
  );
});

t.test("balance-slb charges a source's bytes to its bucket, once for each bond it leaves by", async (t) => {
  const rig = new Rig(["balance-slb", "balance-slb"]);
  const noise = new Uint8Array(KEY_BYTES);
  const given = { what: "frame", src: HOSTS[0], vid: undefined, arp: undefined, noise } as const;
  const flood = keyOf({ ...given, portNo: 5, dst: BROADCAST });
  rig.decide(flood, noise);
  rig.policy.refresh(flood, rig.now, 1000);
  const charged = (index: number): number =>
    rig.bonds.all[index]!.charge.loads().reduce((sum, { bytes }) => sum + bytes, 0);
  t.same([charged(0), charged(1)], [1000, 1000]);
  rig.decide(keyOf({ ...given, portNo: 1, src: HOSTS[1], dst: HOSTS[0] }), noise);
  rig.policy.refresh(keyOf({ ...given, portNo: 5, dst: HOSTS[1] }), rig.now, 500);
  t.same([charged(0), charged(1)], [1500, 1000], "to a known station by its own bond");
  rig.policy.refresh(keyOf({ ...given, portNo: 5, dst: HOSTS[2] }), rig.now, 1);
  t.same([charged(0), charged(1)], [1501, 1001]);
});
