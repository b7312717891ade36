// Walks the learned flows in slices and removes or mends those that no longer hold: idle ones, ones over the limit, ones
// that the policy would decide otherwise now. Runs in the handler thread between upcalls; a slice is CURSOR_SLICE_NUMBERS
// flow numbers, well under a millisecond. Flows that the operator installed are never touched.
//
// A walk starts every WALK_MILLIS, or at once when something changed; a walk also tells the policy which flows had
// packets, so that what they were learned from stays alive as long as they do.

import type { Arena } from "../memory/arena.ts";
import type { Clock } from "../memory/clock.ts";
import { FlowCursor } from "../table/flow-cursor.ts";
import type { TableWriter } from "../table/table-writer.ts";
import { equalBytes } from "./bytes.ts";
import type { Changes, Policy } from "./policy.ts";

/** As OVS's max-revalidator: an idle flow outlives its time by this at most. */
const WALK_MILLIS = 500;

export interface RevalidatorLimits {
  /** Learned flows expire when they had no packet for so long. */
  readonly flowIdleMillis: number;
  /** Most learned flows. */
  readonly flowLimit: number;
}

export interface RevalidatorCounts {
  idle: number;
  changed: number;
  overLimit: number;
}

export class Revalidator {
  readonly counts: RevalidatorCounts = { idle: 0, changed: 0, overLimit: 0 };
  readonly #arena: Arena;
  readonly #table: TableWriter;
  readonly #policy: Policy;
  readonly #clock: Clock;
  #limits: RevalidatorLimits;
  #cursor: FlowCursor | null = null;
  #changes: Changes | null = null;
  #lastWalkMillis: number;
  /** When the walk before this one began, and this one. */
  #newsSinceMillis = 0;
  #beganMillis = 0;
  #seen = 0;
  #learnedCount = 0;
  #addedSinceWalk = 0;

  constructor(arena: Arena, table: TableWriter, policy: Policy, clock: Clock, limits: RevalidatorLimits) {
    this.#arena = arena;
    this.#table = table;
    this.#policy = policy;
    this.#clock = clock;
    this.#limits = limits;
    this.#lastWalkMillis = clock.millis();
  }

  /** Learned flows, as of the last walk and what was learned since. */
  get learnedCount(): number {
    return this.#learnedCount + this.#addedSinceWalk;
  }

  get isFull(): boolean {
    return this.learnedCount >= this.#limits.flowLimit;
  }

  setLimits(limits: RevalidatorLimits): void {
    this.#limits = limits;
  }

  /** The handler installed a learned flow. */
  added(): void {
    this.#addedSinceWalk += 1;
  }

  /** One slice. True while a walk goes on. */
  step(): boolean {
    if (this.#cursor === null && !this.#begin()) return false;
    this.#cursor!.walk((flowNo) => this.#visit(flowNo));
    if (this.#cursor!.done) this.#end();
    return this.#cursor !== null;
  }

  #begin(): boolean {
    const changes = this.#policy.takeChanges();
    if (changes === null && this.#clock.millis() - this.#lastWalkMillis < WALK_MILLIS) return false;
    this.#changes = changes;
    this.#cursor = new FlowCursor(this.#arena, null);
    this.#seen = 0;
    // Those installed while the walk goes on are not seen by it; these are counted until it ends.
    this.#learnedCount += this.#addedSinceWalk;
    this.#addedSinceWalk = 0;
    this.#newsSinceMillis = this.#beganMillis;
    this.#beganMillis = this.#clock.millis();
    return true;
  }

  #end(): void {
    this.#cursor = null;
    this.#changes = null;
    this.#learnedCount = this.#seen;
    this.#lastWalkMillis = this.#clock.millis();
  }

  #visit(flowNo: number): void {
    const { flows } = this.#table;
    if (flows.isOperator(flowNo)) return;
    const now = this.#clock.millis();
    const { usedMillis } = flows.stats(flowNo);
    const aliveMillis = Math.max(usedMillis, flows.createdMillis(flowNo));
    this.#seen += 1;
    if (now - aliveMillis >= this.#limits.flowIdleMillis) this.#remove(flowNo, "idle");
    else if (this.#seen > this.#limits.flowLimit) this.#remove(flowNo, "overLimit");
    else this.#review(flowNo, usedMillis, now);
  }

  #review(flowNo: number, usedMillis: number, now: number): void {
    const flow = this.#table.flows.read(flowNo)!;
    // Packets that the walk before has told are old news: they would undo what was forgotten since.
    if (usedMillis > 0 && usedMillis >= this.#newsSinceMillis) this.#policy.refresh(flow.key, usedMillis);
    if (this.#changes === null || !(this.#changes.all || this.#changes.touches(flow.key))) return;
    const decision = this.#policy.review(flow.key, now);
    if (decision.kind !== "flow" || !equalBytes(decision.mask, flow.mask)) this.#remove(flowNo, "changed");
    else if (!equalBytes(decision.actions, flow.actions)) {
      this.counts.changed += 1;
      // Without room for the new list the flow goes, and its next packet decides anew.
      if (!this.#table.modify(flowNo, decision.actions)) this.#drop(flowNo);
    }
  }

  #remove(flowNo: number, reason: keyof RevalidatorCounts): void {
    this.counts[reason] += 1;
    this.#drop(flowNo);
  }

  #drop(flowNo: number): void {
    this.#seen -= 1;
    this.#table.remove(flowNo);
  }
}
