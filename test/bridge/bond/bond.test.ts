// A bond through random lives: ports that open, close, lose and find their links, time that passes, commands, load. At
// every moment: only enabled members carry anything, somebody is active whenever somebody is enabled, delays are kept,
// and nobody's bucket changes without word of it.
import fc from "fast-check";
import t from "tap";
import { BOND_MODES, Bond, type BondSettings } from "../../../src/bridge/bond/bond.ts";
import { BOND_BUCKETS } from "../../../src/memory/region-plan.ts";
import { runs } from "../../support/seed.ts";
import { bondSettings } from "./settings.ts";

const MEMBERS = ["p1", "p2", "p3"] as const;
const MAC = "02:00:00:00:00:01";

const settings = fc.record({
  mode: fc.constantFrom(...BOND_MODES),
  updelayMillis: fc.constantFrom(0, 700),
  downdelayMillis: fc.constantFrom(0, 500),
  primary: fc.constantFrom(undefined, "p2"),
  rebalanceMillis: fc.constantFrom(0, 3000),
});
const event = fc.oneof(
  fc.record({ what: fc.constant("open" as const), index: fc.nat(2), isUp: fc.boolean() }),
  fc.record({ what: fc.constant("close" as const), index: fc.nat(2) }),
  fc.record({ what: fc.constant("link" as const), index: fc.nat(2), isUp: fc.boolean() }),
  fc.record({ what: fc.constant("wait" as const), millis: fc.integer({ min: 1, max: 1500 }) }),
  fc.record({ what: fc.constant("load" as const), bucket: fc.nat(3), bytes: fc.nat(3_000_000) }),
  fc.record({ what: fc.constant("active" as const), index: fc.nat(2) }),
  fc.record({ what: fc.constant("migrate" as const), bucket: fc.nat(3), index: fc.nat(2) }),
);
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never;

class Life {
  readonly changed = new Set<number>();
  inputChanges = 0;
  activeChanges = 0;
  readonly notices: string[] = [];
  readonly bond: Bond;
  now = 0;
  /** When a link went the other way than the bond has it. */
  readonly #since = new Map<string, number>();

  constructor(given: Partial<BondSettings>) {
    this.bond = new Bond(bondSettings({ members: MEMBERS, ...given }), {
      bucketChanged: (_bond, bucket) => void this.changed.add(bucket),
      inputChanged: () => {
        this.inputChanges += 1;
      },
      activeChanged: () => {
        this.activeChanges += 1;
      },
      notice: (text) => void this.notices.push(text),
    });
  }

  apply(event: Event): void {
    const before = this.#carriers();
    const admitted = this.#admitted();
    this.changed.clear();
    this.inputChanges = 0;
    this.activeChanges = 0;
    this.notices.length = 0;
    const states = this.#states();
    const { active } = this.bond;
    this.#do(event);
    const isAnother = active !== undefined && this.bond.active !== undefined && this.bond.active !== active;
    if (isAnother && this.activeChanges === 0) throw new Error("another member is active without a word");
    for (const [index, state] of this.#states().entries())
      if (state !== states[index] && !this.notices.includes(`bond bond0: member ${state}`))
        throw new Error(`${state}, and the log says ${this.notices}`);
    for (const [bucket, carrier] of this.#carriers().entries()) {
      if (carrier !== before[bucket] && !this.changed.has(bucket))
        throw new Error(`bucket ${bucket}: ${before[bucket]} became ${carrier} without a word`);
    }
    if (this.#admitted() !== admitted && this.inputChanges === 0)
      throw new Error("who is let in changed silently");
    this.#check();
  }

  #do(event: Event): void {
    const { bond } = this;
    if (event.what === "wait") this.#wait(event.millis);
    else if (event.what === "load") bond.charge.add(event.bucket, event.bytes);
    else {
      const member = bond.members[event.index]!;
      if (event.what === "open" && member.portNo === undefined)
        bond.attach(member, event.index + 1, { isUp: event.isUp, mac: MAC }, this.now);
      if (event.what === "close" && member.portNo !== undefined) bond.detach(member, this.now);
      if (event.what === "link" && member.portNo !== undefined)
        bond.setLink(member, { isUp: event.isUp, mac: MAC }, this.now);
      if (event.what === "active" && member.isEnabled) bond.setActive(member);
      if (event.what === "migrate" && member.isEnabled && bond.settings.mode === "balance-slb")
        bond.migrate(event.bucket, member);
    }
  }

  /** As the handler does it: every tenth of a second. */
  #wait(millis: number): void {
    const end = this.now + millis;
    while (this.now < end) {
      this.now = Math.min(end, this.now + 100);
      this.bond.run(this.now);
      this.#check();
    }
  }

  #check(): void {
    const { bond, now } = this;
    const enabled = bond.members.filter(({ isEnabled }) => isEnabled);
    if (enabled.length > 0 && bond.active?.isEnabled !== true) throw new Error("nobody is active");
    if (enabled.length === 0 && bond.active !== undefined) throw new Error("a disabled member is active");
    for (const carrier of this.#carriers())
      if (carrier !== undefined && !enabled.some(({ name }) => name === carrier))
        throw new Error(`${carrier} carries a bucket and is disabled`);
    const { updelayMillis, downdelayMillis } = bond.settings;
    for (const { name, link, isEnabled } of bond.members) {
      if (link.isUp === isEnabled) this.#since.delete(name);
      else if (!this.#since.has(name)) this.#since.set(name, now);
      const waited = now - (this.#since.get(name) ?? now);
      if (waited > (link.isUp ? updelayMillis : downdelayMillis))
        throw new Error(`${name} waits for ${waited} ms`);
    }
  }

  /** Who sends each bucket's packets now, as flows that rest on it say. */
  #carriers(): (string | undefined)[] {
    const { bond } = this;
    const buckets = bond.settings.mode === "active-backup" ? 1 : BOND_BUCKETS;
    return Array.from({ length: buckets }, (_, bucket) => bond.choose(bucket)?.name);
  }

  /** As the log tells them. */
  #states(): string[] {
    return this.bond.members.map(({ name, isEnabled }) => `${name} is ${isEnabled ? "enabled" : "disabled"}`);
  }

  #admitted(): string {
    const { bond } = this;
    return bond.members
      .map((member) => [true, false].map((isGroup) => bond.admits(member, isGroup)))
      .join(" ");
  }
}

t.test("a bond keeps its word through random lives", async () => {
  fc.assert(
    fc.property(settings, fc.array(event, { maxLength: 40 }), (given, events) => {
      const life = new Life(given);
      for (const each of events) life.apply(each);
    }),
    runs(300),
  );
});

t.test("a lost member's buckets go in turn to the others, and the others keep theirs", async (t) => {
  for (const mode of ["balance-slb", "balance-tcp"] as const) {
    const life = new Life({ mode });
    const { bond } = life;
    for (const [index, member] of bond.members.entries())
      bond.attach(member, index + 1, { isUp: true, mac: MAC }, 0);
    const holders = (): (string | undefined)[] =>
      Array.from({ length: BOND_BUCKETS }, (_, bucket) => bond.choose(bucket)?.name);
    const before = holders();
    const count = (names: readonly (string | undefined)[], name: string): number =>
      names.filter((each) => each === name).length;
    t.same(MEMBERS.map((name) => count(before, name)).sort(), [85, 85, 86], "spread evenly");
    life.apply({ what: "link", index: 0, isUp: false });
    const after = holders();
    t.equal(count(after, "p1"), 0);
    t.ok(Math.abs(count(after, "p2") - count(after, "p3")) <= 1);
    for (const [bucket, name] of before.entries())
      if (name !== "p1" && after[bucket] !== name) t.fail(`bucket ${bucket} left ${name}`);
    t.equal(life.changed.size, count(before, "p1"), "what changed was told, and no more");
  }
});

t.test("load makes buckets move at the interval, by halves forgotten", async (t) => {
  const life = new Life({ mode: "balance-tcp", members: ["p1", "p2"] });
  life.apply({ what: "open", index: 0, isUp: true });
  life.apply({ what: "open", index: 1, isUp: true });
  const { bond } = life;
  const ofFirst = Array.from({ length: BOND_BUCKETS }, (_, bucket) => bucket)
    .filter((bucket) => bond.choose(bucket)?.name === "p1")
    .slice(0, 4);
  for (const bucket of ofFirst) bond.charge.add(bucket, 1_000_000);
  life.apply({ what: "wait", millis: 9900 });
  t.same([...life.changed], [], "not before the interval is over");
  life.apply({ what: "wait", millis: 200 });
  t.same([...life.changed].sort(), ofFirst.slice(0, 2), "half of the load");
  t.equal(bond.choose(ofFirst[0]!)?.name, "p2");
  t.equal(bond.charge.bytes(ofFirst[0]!), 500_000);
});

t.test("balance-tcp: a member that comes gets its share of what carries nothing", async (t) => {
  const life = new Life({ mode: "balance-tcp", members: ["p1", "p2"] });
  const { bond } = life;
  const ofSecond = (): number[] =>
    Array.from({ length: BOND_BUCKETS }, (_, bucket) => bucket).filter(
      (bucket) => bond.choose(bucket)?.name === "p2",
    );
  life.apply({ what: "open", index: 0, isUp: true });
  t.same(ofSecond(), [], "the first one has all, being alone");
  for (let bucket = 0; bucket < 100; bucket += 1) bond.charge.add(bucket, 1000);
  life.apply({ what: "open", index: 1, isUp: true });
  t.equal(ofSecond().length, BOND_BUCKETS / 2);
  t.notOk(
    ofSecond().some((bucket) => bucket < 100),
    "conversations that are under way stay where they are",
  );
  life.apply({ what: "link", index: 1, isUp: false });
  for (let bucket = 0; bucket < 200; bucket += 1) bond.charge.add(bucket, 1000);
  life.apply({ what: "link", index: 1, isUp: true });
  t.equal(ofSecond().length, BOND_BUCKETS - 200, "no more than there is");
});
