// Quarantine: what a zero-copy driver may still write into isn't handed out before its queue is free, and is
// out of use for good when that never comes. No hardware is needed: the queue's answers are the test's.
import t from "tap";
import { ownerWord } from "../../../src/memory/frame-ledger.ts";
import { native } from "../../../src/native.ts";
import { frameMark, markedSlot, planPort, QUEUE_BLOCK_BYTES } from "../../../src/port/afxdp/layout.ts";
import {
  loseFrames,
  markedFrameCount,
  quarantine,
  queueIsFree,
  reclaimFrames,
} from "../../../src/port/afxdp/reclaim.ts";
import { Lab, labUnavailable } from "../../support/netns.ts";
import { FRAME_COUNT, Rig } from "./rig.ts";

const skip = labUnavailable() ?? false;

t.test("marks name slot and queue, and are no port numbers", async (t) => {
  for (const slot of [0, 1, 255, 256, 65535]) {
    for (const queue of [0, 1, 255]) t.equal(markedSlot(frameMark(slot, queue)), slot, `${slot} ${queue}`);
  }
  for (const portNo of [0, 1, 65534]) t.equal(markedSlot(portNo), -1);
});

t.test("the plan's parts are whole pages that don't overlap", async (t) => {
  for (const [queues, entries] of [
    [1, 64],
    [3, 2048],
    [40, 128],
  ] as const) {
    const { bytes, blocks, queues: plans } = planPort(queues, entries);
    t.ok(blocks.every((block, queue) => block === queue * QUEUE_BLOCK_BYTES));
    const parts = plans.flatMap((plan) => Object.values(plan) as { offset: number; bytes: number }[]);
    let end = Math.ceil((queues * QUEUE_BLOCK_BYTES) / 4096) * 4096;
    for (const part of parts) {
      t.equal(part.offset, end);
      t.equal(part.bytes % 4096, 0);
      end += part.bytes;
    }
    t.equal(end, bytes);
  }
});

t.test("frames come back only when the queue is free", { skip }, async (t) => {
  const rig = new Rig();
  const marked = (slot: number, count: number): void => {
    for (let i = 0; i < count; i += 1) {
      const frame = rig.pool.take();
      rig.packets.setPortNo(frame, frameMark(slot, i & 3));
      rig.pool.ledger!.move(frame, ownerWord("held", 0), ownerWord("kernel", slot));
    }
  };
  marked(2, 10);
  marked(3, 7);
  const answers = [false, false, false, true];
  const waits: number[] = [];
  const free = await quarantine(
    () => answers.shift()!,
    async (millis) => {
      t.equal(rig.pooled(), FRAME_COUNT - 17, "nothing is handed out meanwhile");
      waits.push(millis);
    },
  );
  t.equal(free, true);
  t.strictSame(waits, [5, 10, 20], "with growing pauses");
  t.equal(reclaimFrames(rig.arena, rig.controlPool, 2), 10);
  t.equal(rig.pooled(), FRAME_COUNT - 7, "frames of the other port stay where they are");

  let asked = 0;
  const never = await quarantine(
    () => {
      asked += 1;
      return false;
    },
    async () => {},
  );
  t.equal(never, false, `given up after ${asked} looks`);
  t.equal(loseFrames(rig.arena, rig.controlPool, 3), 7);
  t.equal(markedFrameCount(rig.arena, 3), 0, "a new port in the slot doesn't find them");
  t.equal(reclaimFrames(rig.arena, rig.controlPool, 3), 0);
  t.match(rig.audit(), { "quarantine 3": 7 });
});

t.test("a queue is free when nobody's buffers are bound to it, or it is gone", { skip }, async (t) => {
  const lab = new Lab(t);
  const [end] = lab.veth(lab.namespace("a"), lab.namespace("b"));
  const rig = new Rig();
  const addon = native();
  const netns = addon.netnsOpen(end.namespace);
  const links = addon.linkOpen(netns);
  const { ifindex } = addon.linkByName(links, end.name)!;
  addon.fdClose(links);
  const isFree = (): boolean => queueIsFree(rig.arena, rig.pages, netns, ifindex, 0);
  t.equal(isFree(), true);
  while (!isFree()) await new Promise((resolve) => setTimeout(resolve, 1));
  const port = await rig.open(end);
  t.equal(isFree(), false, "a port is on it");
  await rig.close(port);
  while (!isFree()) await new Promise((resolve) => setTimeout(resolve, 1));
  lab.ip(end.namespace, "link", "del", end.name);
  t.equal(isFree(), true, "gone");
  t.equal(rig.pages.freeBytes, rig.arena.region("kernelRings").bytes);
});
