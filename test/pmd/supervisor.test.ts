// Real workers under the supervisor: they forward, hand over to each other, fail on purpose, are adopted, come back
// and stop; afterwards every frame is free and the books balance.
import t, { type Test } from "tap";
import type { Fault } from "../../src/pmd/commands.ts";
import type { WorkerDeath } from "../../src/pmd/supervised.ts";
import { readPortCounters } from "../../src/port/counters.ts";
import { LiveSwitch } from "../support/live-switch.ts";
import { numberedFrame, numberOf } from "../support/numbered-frame.ts";

const BY_PORT = ["in_port", "eth_type", "nw_frag"] as const;
const PACKETS = 500;

/** One port received by each worker; each sends to the other's port. */
async function crossed(
  options = {},
): Promise<{ live: LiveSwitch; ports: Awaited<ReturnType<LiveSwitch["addDummy"]>>[] }> {
  const live = new LiveSwitch({ workerCount: 2 }, options);
  await live.supervisor.start();
  const ports = [await live.addDummy("one"), await live.addDummy("two")];
  live.putFlow(numberedFrame(0), ports[0]!.portNo, String(ports[1]!.portNo), BY_PORT);
  live.putFlow(numberedFrame(0), ports[1]!.portNo, String(ports[0]!.portNo), BY_PORT);
  return { live, ports };
}

async function forwardBothWays(t: Test, { live, ports }: Awaited<ReturnType<typeof crossed>>): Promise<void> {
  for (const [from, to] of [ports, [...ports].reverse()] as const) {
    for (let number = 0; number < PACKETS; number += 1) from!.inject(numberedFrame(number));
    const taken = await live.takeFrom(to!, PACKETS);
    t.strictSame(
      taken.map(numberOf),
      Array.from({ length: PACKETS }, (_, number) => number),
      "in order, none lost",
    );
  }
}

async function stopAndAudit(t: Test, live: LiveSwitch): Promise<void> {
  await live.stop();
  t.strictSame(live.framesInUse(), []);
  const { in: taken, out } = live.books();
  t.equal(taken, out, "the books balance");
}

t.test("forwards between ports of two workers", async (t) => {
  const both = await crossed();
  await forwardBothWays(t, both);
  t.strictSame(
    both.live.supervisor.workers().map(({ state }) => state),
    ["running", "running"],
  );
  t.equal(readPortCounters(both.live.arena, both.ports[0]!.slot).tx_packets, PACKETS);
  await stopAndAudit(t, both.live);
});

for (const fault of ["throw", "trap", "loop"] satisfies Fault[]) {
  t.test(`a worker fails: ${fault}`, async (t) => {
    const both = await crossed();
    const { live } = both;
    await forwardBothWays(t, both);
    const deaths: WorkerDeath[] = [];
    live.supervisor.on("died", (death) => deaths.push(death));
    const restarted = new Promise((resolve) => live.supervisor.once("restarted", resolve));
    live.supervisor.plantFault(0, fault);
    await forwardBothWays(t, both);
    t.equal(await restarted, 0);
    t.equal(deaths.length, 1);
    t.match(deaths[0]!.reason, { throw: /planted/, trap: /out of bounds/, loop: /stood still/ }[fault]);
    t.equal(deaths[0]!.totals.counters.received, PACKETS, "reported with its last counters");
    t.match(live.supervisor.workers()[0], { state: "running", restarts: 1 });
    await forwardBothWays(t, both);
    await stopAndAudit(t, live);
  });
}

t.test("stops within a second although misses wait for a handler that is not there", async (t) => {
  const live = new LiveSwitch({ workerCount: 2 });
  await live.supervisor.start();
  const port = await live.addDummy("one");
  for (let number = 0; number < PACKETS; number += 1) port.inject(numberedFrame(number));
  await live.until("all packets to be received", () => live.totals().counters.received === PACKETS);
  await live.supervisor.stop();
  t.strictSame(
    live.supervisor.workers().map(({ state }) => state),
    ["stopped", "stopped"],
  );
  t.ok(live.supervisor.reclaimRings() > 0, "what waited was taken back");
  t.match(live.totals().drops, { stopping: live.totals().counters.upcall_miss });
  const { in: taken, out } = live.books();
  t.equal(taken, out);
  t.strictSame(live.framesInUse(), []);
});

t.test("a fault command does nothing unless faults are allowed", async (t) => {
  const both = await crossed({ faults: false });
  both.live.supervisor.plantFault(0, "throw");
  await forwardBothWays(t, both);
  t.equal(both.live.supervisor.workers()[0]!.restarts, 0);
  await stopAndAudit(t, both.live);
});
