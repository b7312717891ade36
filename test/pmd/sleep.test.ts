// Sleep: off by default; growing by a microsecond a loop when asked for; offline meanwhile; ended by packets.
import t from "tap";
import { readThreadTotals } from "../../src/datapath/counters.ts";
import { OFFLINE, THREAD } from "../../src/memory/thread-block.ts";
import { Pmd } from "../../src/pmd/pmd.ts";
import { SleepPolicy } from "../../src/pmd/sleep.ts";
import { createTestArena } from "../support/dataplane.ts";

t.test("sleeps only when asked to, and longer each time", async (t) => {
  const { arena } = createTestArena();
  const pmd = new Pmd(arena, 0);
  const counters = () => readThreadTotals(arena, 0).counters;
  const epochWord = (arena.region("threads").offset + THREAD.epoch) >>> 2;

  const never = new SleepPolicy(arena, pmd, 0);
  for (let loop = 0; loop < 10; loop += 1) never.afterLoop(pmd.iterate(), 0);
  t.equal(counters().sleeps, 0);
  t.not(arena.i32[epochWord], OFFLINE);

  const policy = new SleepPolicy(arena, pmd, 300);
  for (let loop = 0; loop < 300; loop += 1) policy.afterLoop(pmd.iterate(), 0);
  t.equal(counters().sleeps, 300);
  // 1 + 2 + ... + 300 us is the least that the kernel may let it sleep.
  t.ok(counters().nanos_asleep >= ((300 * 301 * 1000) / 2) * 0.9, `${counters().nanos_asleep} ns asleep`);
  t.equal(arena.i32[epochWord], OFFLINE, "holds nothing back while it sleeps");
  pmd.iterate();
  t.not(arena.i32[epochWord], OFFLINE);

  const before = counters().nanos_asleep;
  policy.afterLoop(5, 0);
  t.equal(counters().sleeps, 300, "packets end it");
  policy.afterLoop(0, 0);
  t.ok(counters().nanos_asleep - before > 0);

  const word = (arena.region("threads").offset + THREAD.commandEpoch) >>> 2;
  arena.i32[word] = 7;
  policy.setLimit(10_000_000);
  for (let loop = 0; loop < 3; loop += 1) policy.afterLoop(0, 6);
  t.equal(counters().sleeps, 304, "a command that waits lets it look at once");
});
