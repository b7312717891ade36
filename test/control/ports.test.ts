// The ports of a switch with a driver of the test's own: what fails, when, and in which order things end.
import t from "tap";
import { Ports } from "../../src/control/ports.ts";
import { FramePool } from "../../src/memory/frame-pool.ts";
import { PORT_UP } from "../../src/memory/port-layout.ts";
import { controlThread } from "../../src/memory/region-plan.ts";
import type { OpenPort, PortContext, PortDriver, PortSpec, QueueAttachment } from "../../src/port/port.ts";
import { PortTable } from "../../src/port/port-table.ts";
import { createTestArena } from "../support/dataplane.ts";

const SPEC: PortSpec = { name: "eth", type: "null" };

/** A port over nothing that knows what may not be asked of a closed one. */
class FakePort implements OpenPort {
  readonly rxqCount = 1;
  readonly txqCount = 1;
  readonly takesPartialChecksums = false;
  readonly shownOptions = [];
  readonly spec: PortSpec;
  readonly portNo: number;
  readonly slot: number;
  readonly context: PortContext;
  closes = 0;
  notes: readonly string[] = [];
  closing: Promise<void> = Promise.resolve();

  constructor(context: PortContext, spec: PortSpec, portNo: number, slot: number) {
    this.context = context;
    this.spec = spec;
    this.portNo = portNo;
    this.slot = slot;
  }

  rxAttachment(queue: number): QueueAttachment {
    return { type: "null", portNo: this.portNo, slot: this.slot, queue, fields: {} };
  }

  txAttachment(queue: number): QueueAttachment {
    return this.rxAttachment(queue);
  }

  status() {
    this.#expectOpen();
    return { up: true, mtu: 1500, notes: this.notes };
  }

  foldKernelCounters(): void {
    this.#expectOpen();
  }

  async close(): Promise<void> {
    this.closes += 1;
    await this.closing;
  }

  #expectOpen(): void {
    if (this.closes > 0) throw new Error("a closed port is asked");
  }
}

function rig() {
  const { arena } = createTestArena();
  const opened: FakePort[] = [];
  const log: string[] = [];
  const refusals: string[] = [];
  const attached: string[] = [];
  const refuseSettling: (string | undefined)[] = [];
  const kept = { frames: 0 };
  const driver: PortDriver = {
    type: "null",
    keptFrames: () => kept.frames,
    open: async (context, spec, portNo, slot) => {
      const refusal = refusals.shift();
      if (refusal !== undefined) throw new Error(refusal);
      const port = new FakePort(context, spec, portNo, slot);
      opened.push(port);
      return port;
    },
  };
  const ports = new Ports({
    arena,
    pool: new FramePool(arena, controlThread(arena.plan.sizes), true),
    drivers: new Map([["null", driver]]),
    workers: {
      count: 1,
      attachRx: (_worker, { slot, queue }) => attached.push(`${slot}.${queue}`),
      attachTx: () => {},
      setTxOwner: () => {},
      detachPort: () => attached.splice(0),
      settled: async () => {
        const refusal = refuseSettling.shift();
        if (refusal !== undefined) throw new Error(refusal);
      },
    },
    log: (_level, message) => log.push(message),
  });
  const table = new PortTable(arena);
  return { ports, table, opened, log, refusals, attached, refuseSettling, kept };
}

/** Until everything that was asked for is done: an unknown port's removal waits for its turn and is refused. */
const idle = (ports: Ports): Promise<unknown> => ports.remove(65000).catch(() => undefined);

t.test("an interface that can't be taken again is tried until it can", async (t) => {
  const { ports, table, opened, log, refusals, attached } = rig();
  const port = await ports.add(SPEC);
  const changes: boolean[] = [];
  ports.on("changed", (_port, { up }) => changes.push(up));
  refusals.push("port eth: MTU 9200", "port eth: MTU 9200", "port eth: it is busy");
  opened[0]!.context.reappeared(port.slot);
  opened[0]!.context.reappeared(port.slot);
  ports.poll();
  await idle(ports);
  t.equal(opened[0]!.closes, 1, "closed once, however often it was told");
  const absent = ports.byName("eth")!;
  t.strictSame(ports.status(absent), { up: false, mtu: 0, notes: ["port eth: MTU 9200"] });
  t.equal(table.flags(port.slot) & PORT_UP, 0);
  t.strictSame([ports.rxqs(), attached], [[], []]);
  for (let poll = 0; poll < 3; poll += 1) {
    ports.poll();
    await idle(ports);
  }
  t.match(
    log,
    [/MTU 9200; port eth is tried again/, /it is busy; port eth is tried again/],
    "each cause is told once",
  );
  t.equal(log.length, 2);
  t.equal(opened.length, 2);
  t.match(ports.byNumber(port.portNo), { slot: port.slot, portNo: port.portNo });
  t.equal(table.flags(port.slot) & PORT_UP, PORT_UP, "up again");
  t.strictSame(attached, [`${port.slot}.0`]);
  t.strictSame(changes, [false, true]);
  ports.poll();
  await ports.removeAll();
  t.strictSame(
    opened.map(({ closes }) => closes),
    [1, 1],
  );
});

t.test("a port that workers can't take up is closed and tried again", async (t) => {
  const { ports, opened, log, refuseSettling } = rig();
  const port = await ports.add(SPEC);
  // The old port is let go of; then the new one is not taken up.
  refuseSettling.push(undefined, "worker 0: no ring");
  opened[0]!.context.reappeared(port.slot);
  await idle(ports);
  t.equal(opened[0]!.closes, 1);
  ports.poll();
  await idle(ports);
  t.match(log, [/worker 0: no ring; port eth is tried again/]);
  t.equal(opened.at(-1)!.closes, 0);
  t.ok(ports.status(ports.byName("eth")!).up);
  await ports.removeAll();
  t.ok(opened.every(({ closes }) => closes === 1));
});

t.test("removed while it is being opened again", async (t) => {
  const { ports, opened } = rig();
  const port = await ports.add(SPEC);
  let letGo = (): void => {};
  opened[0]!.closing = new Promise((resolve) => {
    letGo = resolve;
  });
  opened[0]!.context.reappeared(port.slot);
  const removed = ports.remove(port.portNo);
  const again = ports.add(SPEC);
  while (opened[0]!.closes === 0) await new Promise(setImmediate);
  ports.poll();
  letGo();
  await removed;
  await again;
  t.strictSame(
    opened.map(({ closes }) => closes),
    [1, 1, 0],
    "each is closed once, in the order asked for",
  );
  t.strictSame(ports.list(), [opened[2]]);
  await ports.removeAll();
});

t.test("a port whose queues no worker takes leaves nothing behind", async (t) => {
  const { ports, opened, refuseSettling } = rig();
  refuseSettling.push("worker 0: attach-rx: no");
  await t.rejects(ports.add(SPEC), { message: "port eth: worker 0: attach-rx: no" });
  t.equal(opened[0]!.closes, 1);
  t.strictSame(ports.list(), []);
  t.match(await ports.add(SPEC), { portNo: 1, slot: 0 });
  await ports.removeAll();
});

t.test("what is wrong with a port is asked for again by every poll, and told when it changes", async (t) => {
  const { ports, opened } = rig();
  const port = await ports.add(SPEC);
  const told: (readonly string[])[] = [];
  ports.on("changed", (_port, { notes }) => told.push(notes));
  for (const notes of [["rx-gro is on"], ["rx-gro is on"], []]) {
    opened[0]!.notes = notes;
    ports.poll();
    t.strictSame(ports.status(port).notes, notes);
  }
  t.strictSame(told, [["rx-gro is on"], []]);
  await ports.removeAll();
});

t.test(
  "ports together keep no more frames than the threads leave; a port that goes gives its share back",
  async (t) => {
    const { ports, opened, refusals, kept } = rig();
    // 2,048 frames, three threads of 576.
    kept.frames = 200;
    const first = await ports.add({ ...SPEC, name: "a" });
    const refusal = /port b: its queues keep 200 frames, 120 are left .* raise memory\.frames to 2128,/;
    await t.rejects(ports.add({ ...SPEC, name: "b" }), { code: "ENOMEM", message: refusal });
    t.equal(opened.length, 1, "the driver was not even asked");
    kept.frames = 120;
    await ports.add({ ...SPEC, name: "b" });
    await ports.remove(first.portNo);
    kept.frames = 200;
    refusals.push("it is busy");
    await t.rejects(ports.add({ ...SPEC, name: "c" }), { message: "it is busy" });
    await ports.add({ ...SPEC, name: "c" });
    kept.frames = 1;
    await t.rejects(ports.add({ ...SPEC, name: "d" }), { code: "ENOMEM" });
    await ports.removeAll();
  },
);
