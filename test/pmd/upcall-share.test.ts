// Shares: a port that floods the handler cannot keep the others from it, and what is lost is counted where it was lost.
import t from "tap";
import { readPortCounters } from "../../src/port/counters.ts";
import { Dataplane, FIVE_TUPLE, maskOf } from "../support/dataplane.ts";
import { numberedFrame } from "../support/numbered-frame.ts";

const FLOOD = 6000;
const OTHERS = 100;

t.test("a flood on one port leaves the other its way up", async (t) => {
  const plane = new Dataplane({
    sizes: { frameCount: 32768, upcallRingBytes: 1 << 18, flowCountMax: 32768 },
  });
  const flooding = await plane.addDummy("flood");
  const quiet = await plane.addDummy("quiet");
  const out = await plane.addPort({ name: "out", type: "null" });
  plane.handler.decide = () => ({ mask: maskOf(FIVE_TUPLE), actions: String(out.portNo) });
  for (let sent = 0; sent < FLOOD; ) {
    while (sent < FLOOD && flooding.inject(numberedFrame(0, sent))) sent += 1;
    plane.pmds[0]!.iterate();
  }
  while (plane.pmds[0]!.iterate() > 0);
  t.ok(plane.totals().drops.upcall_share > 0, "the flood used up its share");
  for (let number = 0; number < OTHERS; number += 1) quiet.inject(numberedFrame(0, number));
  while (plane.pmds[0]!.iterate() > 0);
  t.match(readPortCounters(plane.arena, quiet.slot), { upcalls: OTHERS, upcalls_lost: 0 });
  const lost = readPortCounters(plane.arena, flooding.slot).upcalls_lost;
  t.equal(lost, plane.totals().drops.upcall_share);
  t.equal(lost, plane.totals().counters.upcall_lost);

  plane.settle();
  t.equal(plane.totals().counters.transmitted, FLOOD + OTHERS - lost, "what went up was forwarded");
  flooding.inject(numberedFrame(0, FLOOD));
  plane.settle();
  t.equal(readPortCounters(plane.arena, flooding.slot).upcalls_lost, lost, "answers give the share back");
  t.equal(plane.books().in, plane.books().out);
  await plane.close();
});

t.test("one port alone may use everything, and then loses packets, not frames", async (t) => {
  const plane = new Dataplane({ sizes: { frameCount: 1024 } });
  const port = await plane.addDummy("one");
  for (let sent = 0; sent < 2000; ) {
    while (sent < 2000 && port.inject(numberedFrame(0, sent))) sent += 1;
    plane.pmds[0]!.iterate();
  }
  while (plane.pmds[0]!.iterate() > 0);
  const { counters, drops } = plane.totals();
  t.ok(drops.upcall_lost > 0);
  t.equal(counters.upcall_miss + drops.upcall_lost, 2000);
  t.ok(counters.upcall_miss <= 1024 / 4, "at most a quarter of the frames wait for the handler");
  plane.settle();
  t.equal(plane.totals().drops.miss_policy, counters.upcall_miss);
  await plane.close();
  t.strictSame([...plane.frameOwners()], [["free", 1024]]);
});
