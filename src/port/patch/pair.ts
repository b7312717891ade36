// Two patch ports that name each other, as control keeps them. The rings belong to the pair: they are there from the
// opening of its first end to the closing of its last.
import type { Arena } from "../../memory/arena.ts";
import { Handover, ringOwner } from "../../memory/handover.ts";
import { controlThread } from "../../memory/region-plan.ts";
import { RingConsumer } from "../../ring/spsc-ring.ts";
import type { OpenPort, PortContext } from "../port.ts";
import { PATCH_RING_ENTRIES, PATCH_RING_STRIDE } from "./layout.ts";

/** Which end of its pair a port is: the one with the lesser name is 0. */
export type PatchEnd = 0 | 1;

/** The open pairs of an arena by name, and how many there ever were. */
interface Pairs {
  readonly byNames: Map<string, PatchPair>;
  made: number;
}

const pairsOfArena = new WeakMap<Arena, Pairs>();

export class PatchPair {
  readonly queueCount: number;
  readonly #names: string;
  readonly #pairs: Pairs;
  readonly #number: number;
  readonly #context: PortContext;
  readonly #rings: number;
  readonly #ends: [OpenPort | null, OpenPort | null] = [null, null];

  /** The pair of two names; new, with its rings, when neither end is open. */
  static of(context: PortContext, names: readonly [string, string]): PatchPair {
    const pairs = pairsOfArena.get(context.arena) ?? { byNames: new Map(), made: 0 };
    pairsOfArena.set(context.arena, pairs);
    const key = [...names].sort().join(" ");
    const pair = pairs.byNames.get(key) ?? new PatchPair(context, key, pairs);
    pairs.byNames.set(key, pair);
    return pair;
  }

  private constructor(context: PortContext, names: string, pairs: Pairs) {
    this.queueCount = Math.max(1, context.arena.plan.sizes.workerCount);
    this.#context = context;
    this.#names = names;
    this.#pairs = pairs;
    this.#number = pairs.made;
    pairs.made += 1;
    this.#rings = context.pages.allocate(this.#ringsBytes);
  }

  get #ringsBytes(): number {
    return 2 * this.queueCount * PATCH_RING_STRIDE;
  }

  /** The ring that `end` receives from on `queue`. */
  ring(end: PatchEnd, queue: number): number {
    return this.#rings + (end * this.queueCount + queue) * PATCH_RING_STRIDE;
  }

  /** What the ledger calls the rings of `end`. */
  owner(end: PatchEnd): number {
    return ringOwner("patch", this.#number * 2 + end);
  }

  hasPeer(end: PatchEnd): boolean {
    return this.#ends[1 - end] !== null;
  }

  join(end: PatchEnd, port: OpenPort): void {
    this.#ends[end] = port;
    const peer = this.#ends[1 - end];
    if (peer) this.#context.changed(peer.slot);
  }

  /** No worker polls the end's queues any more. The other end goes down; the last one takes the rings with it. */
  leave(end: PatchEnd): void {
    this.#drain(end);
    this.#ends[end] = null;
    const peer = this.#ends[1 - end];
    if (peer) {
      this.#context.changed(peer.slot);
      return;
    }
    this.#drain(end === 0 ? 1 : 0);
    this.#context.pages.free(this.#rings, this.#ringsBytes);
    this.#pairs.byNames.delete(this.#names);
  }

  /** Frees what waits for an end. A worker may have put some there before it learned that the end was gone. */
  #drain(end: PatchEnd): void {
    const { arena, pool } = this.#context;
    const handover = new Handover(arena, pool, controlThread(arena.plan.sizes));
    for (let queue = 0; queue < this.queueCount; queue += 1) {
      const ring = new RingConsumer(arena, this.ring(end, queue), PATCH_RING_ENTRIES);
      for (let count = ring.available(); count > 0; count -= 1) {
        const frame = ring.take();
        handover.receive(frame, this.owner(end));
        pool.freePacket(frame);
      }
      ring.release();
    }
  }
}
