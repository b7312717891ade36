// What queues share with their neighbours and with their successors, for ports of any type over the kernel.
import type { Test } from "tap";
import { readPortCounters } from "../../src/port/counters.ts";
import { conversationOf, numberedFrame, numberOf } from "../support/numbered-frame.ts";
import type { Peer } from "../support/peer.ts";
import type { RigPort } from "./afxdp/rig.ts";
import { until } from "./kernel-port.ts";
import { hex, type PortRig } from "./port-rig.ts";

const PACKETS = 600;
const CONVERSATIONS = 60;

/** Several receive queues: a conversation keeps to one of them, all get some, and every packet comes once. */
export async function sharesByConversation(t: Test, rig: PortRig, port: RigPort, peer: Peer): Promise<void> {
  const frames = Array.from({ length: PACKETS }, (_, number) =>
    numberedFrame(number, number % CONVERSATIONS),
  );
  const queueOf = new Map<number, number>();
  const numbers: number[] = [];
  const perQueue = new Array<number>(port.rx.length).fill(0);
  const poll = (): void => {
    for (const [queue, rx] of port.rx.entries()) {
      for (const bytes of rig.takeBytes(rig.burst(rx))) {
        const conversation = conversationOf(bytes);
        const known = queueOf.get(conversation) ?? queue;
        if (known !== queue) throw new Error(`conversation ${conversation}: queue ${queue} after ${known}`);
        queueOf.set(conversation, queue);
        numbers.push(numberOf(bytes));
        perQueue[queue]! += 1;
      }
    }
  };
  for (let from = 0; from < PACKETS; from += CONVERSATIONS) {
    peer.send(frames.slice(from, from + CONVERSATIONS));
    await until(() => {
      poll();
      return numbers.length >= from + CONVERSATIONS;
    });
  }
  poll();
  t.strictSame(
    numbers.sort((a, b) => a - b),
    frames.map((_, number) => number),
    "each once",
  );
  t.ok(
    perQueue.every((count) => count > 0),
    `packets by queue: ${perQueue.join(" ")}`,
  );
  t.equal(readPortCounters(rig.arena, port.port.slot).rx_packets, PACKETS);
}

/** A worker puts packets and dies before it flushes: the next owner of the queue sends them; without one they come back. */
export async function sendsForTheDead(
  t: Test,
  rig: PortRig,
  port: RigPort,
  peer: Peer,
  frames: readonly Uint8Array[],
): Promise<void> {
  const die = (): void => {
    for (const frame of frames) port.tx[0]!.put(rig.packet(frame, 500));
  };
  die();
  const successor = rig.queuesOf(port.port);
  successor.tx[0]!.flush();
  t.strictSame(hex(await peer.receive(frames.length)), hex(frames), "sent once, by the successor");
  t.equal(rig.totals().counters.transmitted, frames.length);
  die();
  await port.port.close();
  rig.controlPool.drain();
  t.match(rig.totals().drops, { stopping: frames.length });
}
