// The learning policy against a plain model: random ports, VLANs, addresses, moves and ageing under a virtual
// clock. Of each decision: it sends what the model sends; it holds for every key that equals the packet's
// under the mask; and no installed flow goes stale without takeChanges() naming it.
import fc from "fast-check";
import t from "tap";
import { LearnPolicy } from "../../src/bridge/learn/learn-policy.ts";
import { VLAN_MODES } from "../../src/bridge/learn/vlan.ts";
import { KEY_BYTES } from "../../src/flow/fields.ts";
import { applyMask, newKey, setBytes, setNumber } from "../../src/flow/key.ts";
import type { Decision } from "../../src/upcall/policy.ts";
import { runs, SEED } from "../support/seed.ts";
import { carriedOut, LearnModel, type ModelFrame, type ModelPort } from "./learn-model.ts";

const AGING_MILLIS = 1000;
const HOSTS = [0x020000000001, 0x020000000002, 0x020000000003, 0xfe0000000004] as const;
const GROUPS = [0xffffffffffff, 0x01005e000001, 0x0180c2000000, 0x0180c200000f, 0x0180c2000010] as const;
const PORTS = [1, 2, 3, 4] as const;
const VLANS = [10, 20, 4094] as const;
const ETHER_TYPES = [0x0800, 0x86dd, 0x0806, 0x9000] as const;

const port: fc.Arbitrary<ModelPort> = fc
  .record({
    mode: fc.constantFrom(...VLAN_MODES),
    tag: fc.constantFrom(...VLANS),
    trunks: fc.subarray([0, ...VLANS]),
  })
  .map(({ mode, tag, trunks }) => ({
    mode,
    tag: mode === "trunk" ? 0 : tag,
    trunks: mode === "access" ? [] : trunks,
  }));

const frame: fc.Arbitrary<ModelFrame & { etherType: number }> = fc.record({
  inPort: fc.constantFrom(...PORTS),
  source: fc.constantFrom(...HOSTS, GROUPS[1]),
  destination: fc.constantFrom(...HOSTS, ...GROUPS),
  tag: fc.option(fc.record({ vid: fc.constantFrom(0, ...VLANS), pcp: fc.nat(7) })),
  etherType: fc.constantFrom(...ETHER_TYPES),
});

type Event =
  | { readonly what: "frame"; readonly frame: ModelFrame & { etherType: number }; readonly noise: Uint8Array }
  | { readonly what: "wait"; readonly millis: number }
  | { readonly what: "port"; readonly portNo: number; readonly port: ModelPort }
  | { readonly what: "remove"; readonly portNo: number }
  | { readonly what: "flush" };

const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      what: fc.constant("frame" as const),
      frame,
      noise: fc.uint8Array({ minLength: KEY_BYTES, maxLength: KEY_BYTES }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ what: fc.constant("wait" as const), millis: fc.nat(800) }) },
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constant("port" as const), portNo: fc.constantFrom(...PORTS), port }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constant("remove" as const), portNo: fc.constantFrom(...PORTS) }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("flush" as const) }) },
);

function macBytes(mac: number): Uint8Array {
  return Uint8Array.from({ length: 6 }, (_, index) => Math.floor(mac / 256 ** (5 - index)) % 256);
}

function keyOf({
  inPort,
  source,
  destination,
  tag,
  etherType,
}: ModelFrame & { etherType: number }): Uint8Array {
  const key = newKey();
  setNumber(key, "in_port", inPort);
  setBytes(key, "eth_src", macBytes(source));
  setBytes(key, "eth_dst", macBytes(destination));
  setNumber(key, "eth_type", etherType);
  if (tag !== null) {
    setNumber(key, "vlan_tpid", 0x8100);
    setNumber(key, "vlan_tci", 0x1000 | (tag.pcp << 13) | tag.vid);
  }
  return key;
}

const show = (decision: Decision | null): string =>
  decision === null
    ? "gone"
    : decision.kind === "flow"
      ? `${Buffer.from(decision.mask).toString("hex")} ${Buffer.from(decision.actions).toString("hex")}`
      : decision.kind;

const actionsOf = (decision: Decision | null): string => show(decision).split(" ").at(-1)!;

/** Another key that the megaflow takes. */
const alike = (key: Uint8Array, mask: Uint8Array, noise: Uint8Array): Uint8Array =>
  key.map((byte, index) => (byte & mask[index]!) | (noise[index]! & ~mask[index]!));

class Rig {
  readonly policy = new LearnPolicy({ macAgingMillis: AGING_MILLIS, macTableSize: 1000 });
  readonly model = new LearnModel(AGING_MILLIS);
  readonly installed = new Map<string, { key: Uint8Array; said: string; subjects: readonly number[] }>();
  now = 0;

  apply(event: Event): void {
    if (event.what === "frame") this.#frame(event.frame, event.noise);
    if (event.what === "wait") {
      this.now += event.millis;
      while (this.policy.tick(this.now));
      this.model.age(this.now);
    }
    if (event.what === "port") this.#setPort(event.portNo, event.port);
    if (event.what === "remove") {
      this.policy.removePort(event.portNo);
      this.model.ports.delete(event.portNo);
      this.model.forgetPort(event.portNo);
    }
    if (event.what === "flush") {
      this.policy.flush(this.now);
      this.model.macs = [];
    }
    this.#checkInstalled();
  }

  #setPort(portNo: number, port: ModelPort): void {
    this.policy.setPort(portNo, port);
    const before = this.model.ports.get(portNo);
    if (before !== undefined && JSON.stringify(before) !== JSON.stringify(port))
      this.model.forgetPort(portNo);
    this.model.ports.set(portNo, port);
  }

  #frame(frame: ModelFrame & { etherType: number }, noise: Uint8Array): void {
    const key = keyOf(frame);
    const decision = this.policy.decide(key, this.now);
    const expected = this.model.receive(frame, this.now);
    if (decision.kind !== "flow") {
      if (decision.kind === "drop" && !this.model.ports.has(frame.inPort)) return;
      throw new Error(`a decision of kind ${decision.kind}`);
    }
    const got = carriedOut(decision.actions, frame.tag);
    if (got.join("; ") !== expected.join("; "))
      throw new Error(`sends ${got.join("; ")}, the model ${expected.join("; ")}`);
    if (got.some((output) => output.startsWith(`${frame.inPort}:`)))
      throw new Error("back where it came from");
    const other = alike(key, decision.mask, noise);
    if (actionsOf(this.policy.review(other)) !== actionsOf(decision))
      throw new Error("the mask leaves out what the decision looked at");
    if (show(this.policy.review(key)) !== show(decision))
      throw new Error("review() says other than decide()");
    this.installed.set(Buffer.from(key).toString("hex"), {
      key: applyMask(key, decision.mask),
      said: show(decision),
      subjects: decision.subjects,
    });
  }

  #checkInstalled(): void {
    const changes = this.policy.takeChanges();
    for (const [name, flow] of this.installed) {
      const says = show(this.policy.review(flow.key));
      if (says === flow.said) continue;
      if (
        changes === null ||
        !(changes.all || flow.subjects.some((subject) => changes.subjects.has(subject)))
      )
        throw new Error("a flow went stale and takeChanges() does not name it");
      // The revalidator removes it, or takes the new decision over.
      const next = this.policy.review(flow.key);
      if (next?.kind !== "flow") this.installed.delete(name);
      else this.installed.set(name, { key: flow.key, said: says, subjects: next.subjects });
    }
    if (this.policy.takeChanges() !== null) throw new Error("changes are told twice");
  }
}

t.test("decides as the model, under a right mask, and names every flow that goes stale", async (t) => {
  fc.assert(
    fc.property(
      fc.array(port, { minLength: 3, maxLength: 4 }),
      fc.array(event, { maxLength: 50 }),
      (ports, events) => {
        const rig = new Rig();
        for (const [index, given] of ports.entries())
          rig.apply({ what: "port", portNo: index + 1, port: given });
        for (const event of events) rig.apply(event);
      },
    ),
    runs(1500),
  );
  t.pass(`every run; SEED=${SEED}`);
});

const plain = (inPort: number, source: number, destination: number): Uint8Array =>
  keyOf({ inPort, source, destination, tag: null, etherType: 0x0800 });

t.test("reserved group addresses are forwarded nowhere and teach nothing", async (t) => {
  const policy = new LearnPolicy({ macAgingMillis: AGING_MILLIS, macTableSize: 10 });
  for (const portNo of PORTS) policy.setPort(portNo);
  for (let last = 0; last < 16; last += 1) {
    const decision = policy.decide(plain(1, HOSTS[0], 0x0180c2000000 + last), 0);
    t.equal(decision.kind === "flow" && decision.actions.length, 0);
    t.strictSame(decision.kind === "flow" && decision.subjects, []);
  }
  t.equal(policy.entries().length, 0);
  const above = policy.decide(plain(1, HOSTS[0], 0x0180c2000010), 0);
  t.strictSame(above.kind === "flow" && carriedOut(above.actions, null), ["2: bare", "3: bare", "4: bare"]);
});

t.test("a refresh keeps an address alive, moves it on news, and does not undo a flush", async (t) => {
  const policy = new LearnPolicy({ macAgingMillis: AGING_MILLIS, macTableSize: 10 });
  for (const portNo of PORTS) policy.setPort(portNo);
  const key = plain(1, HOSTS[0], HOSTS[1]);
  policy.decide(key, 0);
  policy.refresh(key, 900, 0);
  policy.tick(1500);
  t.match(policy.entries(), [{ portNo: 1, usedMillis: 900 }]);
  policy.decide(plain(2, HOSTS[0], HOSTS[1]), 1600);
  policy.refresh(key, 1600, 0);
  t.match(policy.entries(), [{ portNo: 2, usedMillis: 1600 }]);
  policy.refresh(key, 1601, 0);
  t.match(policy.entries(), [{ portNo: 1, usedMillis: 1601 }]);
  policy.flush(1700);
  t.strictSame(policy.entries(), []);
  policy.refresh(key, 1701, 0);
  t.match(policy.entries(), [{ portNo: 1, usedMillis: 1701 }]);
});
