// The books: whatever packets, flows, actions and ports come together, every packet is accounted for exactly once, and
// every frame is free again when all is over. Two workers, one handler, all in one thread, the debug ledger on.
import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import type { FieldName } from "../../src/flow/fields.ts";
import { PACKET_BYTES_MAX } from "../../src/memory/frame-layout.ts";
import { readPortCounters } from "../../src/port/counters.ts";
import type { DummyPort } from "../../src/port/dummy/driver.ts";
import { Dataplane, maskOf } from "../support/dataplane.ts";
import { anyFrame } from "../support/frames.ts";
import { runs } from "../support/seed.ts";

const PORT_NUMBERS = [1, 2, 3, 4];
/** None of the ports has it. */
const NO_PORT = 77;
const FRAME_COUNT = 1024;

const action = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...PORT_NUMBERS).map(String) },
  { weight: 1, arbitrary: fc.constant(String(NO_PORT)) },
  { weight: 2, arbitrary: fc.integer({ min: 14, max: 1600 }).map((bytes) => `trunc(${bytes})`) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 4095 }).map((vid) => `push_vlan(vid=${vid},pcp=0)`) },
  { weight: 1, arbitrary: fc.constant("pop_vlan") },
  { weight: 1, arbitrary: fc.constant("set(eth(src=02:00:00:00:00:aa,dst=02:00:00:00:00:bb))") },
  {
    weight: 1,
    arbitrary: fc.constantFrom("userspace(pid=5)", "userspace(pid=5,userdata(0102030405),actions)"),
  },
);

const decision = fc.oneof(
  { weight: 8, arbitrary: fc.array(action, { maxLength: 5 }).map((list) => list.join(",")) },
  { weight: 1, arbitrary: fc.constant("drop") },
);

const maskFields = fc.subarray<FieldName>(
  [
    "in_port",
    "eth_type",
    "eth_src",
    "eth_dst",
    "vlan_tci",
    "nw_src",
    "nw_proto",
    "tp_src",
    "ipv6_src",
    "nw_ttl",
  ],
  { minLength: 1 },
);

const packet = fc.oneof(
  { weight: 6, arbitrary: anyFrame() },
  { weight: 1, arbitrary: anyFrame({ payloadBytesMax: PACKET_BYTES_MAX - 500 }) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }) },
);

type Step =
  | {
      readonly do: "inject";
      readonly port: number;
      readonly packets: Uint8Array[];
      readonly segmentBytes: number;
    }
  | { readonly do: "flood"; readonly port: number; readonly packet: Uint8Array; readonly count: number }
  | { readonly do: "loop"; readonly worker: number }
  | { readonly do: "handle"; readonly budget: number }
  | { readonly do: "link"; readonly port: number; readonly isUp: boolean }
  | { readonly do: "replace"; readonly port: number }
  | { readonly do: "flush" };

const portIndex = fc.nat({ max: PORT_NUMBERS.length - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("inject" as const),
      port: portIndex,
      packets: fc.array(packet, { minLength: 1, maxLength: 8 }),
      segmentBytes: fc.constantFrom(1, 7, 64, 500, 100_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("flood" as const),
      port: portIndex,
      packet: anyFrame(),
      count: fc.integer({ min: 100, max: 600 }),
    }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("loop" as const), worker: fc.nat({ max: 1 }) }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("handle" as const), budget: fc.integer({ min: 1, max: 40 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("link" as const), port: portIndex, isUp: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("replace" as const), port: portIndex }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("flush" as const) }) },
);

const scenario = fc.record({
  mtus: fc.tuple(...PORT_NUMBERS.map(() => fc.constantFrom(68, 576, 1500, 9000))),
  decisions: fc.array(fc.record({ actions: decision, mask: maskFields }), { minLength: 1, maxLength: 6 }),
  steps: fc.array(step, { maxLength: 60 }),
});

class Run {
  readonly plane = new Dataplane({ sizes: { workerCount: 2, frameCount: FRAME_COUNT } });
  readonly #mtus: readonly number[];
  readonly #ports: DummyPort[] = [];
  /** Of ports that are gone. */
  #received = 0;

  constructor({
    mtus,
    decisions,
  }: { mtus: readonly number[]; decisions: { actions: string; mask: FieldName[] }[] }) {
    this.#mtus = mtus;
    this.plane.handler.decide = (key) => {
      const chosen = decisions[key.reduce((sum, byte) => (sum + byte) % decisions.length, 0)]!;
      return chosen.actions === "drop" ? "drop" : { mask: maskOf(chosen.mask), actions: chosen.actions };
    };
  }

  async open(): Promise<void> {
    for (const port of PORT_NUMBERS.keys()) await this.#open(port);
  }

  async #open(port: number): Promise<void> {
    this.#ports[port] = await this.plane.addDummy(`p${port}`, {
      portNo: PORT_NUMBERS[port]!,
      options: { mtu: this.#mtus[port]! },
    });
  }

  async carryOut(step: Step): Promise<void> {
    if (step.do === "inject") {
      for (const bytes of step.packets) this.#ports[step.port]!.inject(bytes, 0, step.segmentBytes);
    } else if (step.do === "flood") {
      for (let count = 0; count < step.count; count += 1) this.#ports[step.port]!.inject(step.packet);
    } else if (step.do === "loop") {
      this.plane.pmds[step.worker]!.iterate();
    } else if (step.do === "handle") {
      this.plane.handler.budget = step.budget;
      this.plane.handler.drain();
    } else if (step.do === "link") {
      this.#ports[step.port]!.setUp(step.isUp);
    } else if (step.do === "flush") {
      this.plane.table.flush();
      while (this.plane.table.step());
    } else {
      await this.#close(step.port);
      await this.#open(step.port);
    }
  }

  async #close(port: number): Promise<void> {
    const { portNo, slot } = this.#ports[port]!;
    await this.plane.ports.remove(portNo);
    this.#received += readPortCounters(this.plane.arena, slot).rx_packets;
  }

  /** Lets everything arrive and closes. */
  async end(): Promise<void> {
    this.plane.handler.budget = Number.MAX_SAFE_INTEGER;
    this.plane.settle();
    for (const port of PORT_NUMBERS.keys()) await this.#close(port);
    for (const pmd of this.plane.pmds) pmd.close();
  }

  get received(): number {
    return this.#received;
  }
}

t.test("packets and frames are accounted for", async (t) => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(scenario, async (given) => {
      const run = new Run(given);
      await run.open();
      for (const one of given.steps) await run.carryOut(one);
      await run.end();
      const { counters, drops } = run.plane.totals();
      for (const [reason, packets] of Object.entries(drops)) if (packets > 0) seen.add(reason);
      assert.equal(run.plane.books().in, run.plane.books().out, "the books balance");
      assert.equal(counters.received, run.received, "what the ports counted is what the workers counted");
      assert.deepEqual([...run.plane.frameOwners()], [["free", FRAME_COUNT]], "every frame is free");
    }),
    runs(300),
  );
  t.comment(`drop reasons met: ${[...seen].sort().join(" ")}`);
  for (const reason of ["flow_drop", "miss_policy", "invalid_port", "port_down", "mtu", "rx_short"]) {
    t.ok(seen.has(reason), `the runs met ${reason}`);
  }
});
