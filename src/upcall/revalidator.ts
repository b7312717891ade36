// Keeps the learned flows true: removes or mends those that no longer hold. Runs in the handler thread between upcalls,
// in slices well under a millisecond. Flows that the operator installed are never touched.
//
// Two ways lead to a flow. When subjects of the policy change (an address moved), the flows that rest on them are
// reviewed at once, through the index. A walk over all flows, WALK_MILLIS apart, removes idle ones and those over the
// limit, and tells the policy which flows had packets, so that what they were learned from stays alive as long as they
// do; after a change that concerns every flow (a port came or went) it reviews each one too.
//
// At the limit new flows find no room and their packets are carried out one by one; then a flow is idle after
// IDLE_MILLIS_WHEN_FULL, as in OVS, so that a flood of short-lived flows gives its places back soon.
import type { Arena } from "../memory/arena.ts";
import type { Clock } from "../memory/clock.ts";
import { CURSOR_SLICE_NUMBERS, FlowCursor } from "../table/flow-cursor.ts";
import { FLOW_STATE } from "../table/layout.ts";
import type { TableWriter } from "../table/table-writer.ts";
import { equalBytes } from "./bytes.ts";
import { FlowIndex } from "./flow-index.ts";
import type { Policy } from "./policy.ts";

/** As OVS's max-revalidator: an idle flow outlives its time by this at most. */
const WALK_MILLIS = 500;
const WALK_MILLIS_WHEN_FULL = 100;
const IDLE_MILLIS_WHEN_FULL = 100;
/** Reviews of one slice: half a millisecond. */
const REVIEWS_PER_SLICE = 64;

export interface RevalidatorLimits {
  /** Learned flows expire when they had no packet for so long. */
  readonly flowIdleMillis: number;
  /** Most learned flows. */
  readonly flowLimit: number;
}

/** Flows removed because idle, removed or mended because something changed, removed because over the limit. */
export interface RevalidatorCounts {
  idle: number;
  changed: number;
  overLimit: number;
}

/** A walk over all flows. */
interface Walk {
  readonly cursor: FlowCursor;
  readonly beganMillis: number;
  readonly reviewsAll: boolean;
  readonly idleMillis: number;
  /** Flows used since had packets that the walk before did not see. */
  readonly usedSince: number;
}

export class Revalidator {
  readonly counts: RevalidatorCounts = { idle: 0, changed: 0, overLimit: 0 };
  readonly #arena: Arena;
  readonly #table: TableWriter;
  readonly #policy: Policy;
  readonly #clock: Clock;
  readonly #index: FlowIndex;
  readonly #staleSubjects = new Set<number>();
  /** By flow number: bytes that the policy was told of. */
  readonly #toldBytes: Float64Array;
  #limits: RevalidatorLimits;
  #allStale = false;
  #wasFull = false;
  #walk: Walk | null = null;
  #lastWalkMillis: number;
  #usedSince = 0;
  /** The subject whose chain is being followed, and the link that comes next; 0 when none is. */
  #subject = 0;
  #link = 0;

  constructor(arena: Arena, table: TableWriter, policy: Policy, clock: Clock, limits: RevalidatorLimits) {
    this.#arena = arena;
    this.#table = table;
    this.#policy = policy;
    this.#clock = clock;
    this.#limits = limits;
    this.#index = new FlowIndex(arena.plan.sizes.flowCountMax);
    this.#toldBytes = new Float64Array(arena.plan.sizes.flowCountMax + 1);
    this.#lastWalkMillis = clock.millis();
  }

  get learnedCount(): number {
    return this.#table.flows.learnedCount;
  }

  /** Whether one more learned flow has room; remembered when not. */
  admits(): boolean {
    if (this.learnedCount < this.#limits.flowLimit) return true;
    this.#wasFull = true;
    return false;
  }

  setLimits(limits: RevalidatorLimits): void {
    this.#limits = limits;
  }

  /** The handler installed a learned flow. */
  added(flowNo: number, subjects: readonly number[]): void {
    // What the decision changed concerns flows that were there before: a flood of new addresses, each of which no flow
    // rested on, costs no review.
    this.#takeChanges();
    for (const subject of subjects) {
      if (this.#index.first(subject) === 0) this.#staleSubjects.delete(subject);
    }
    this.#index.add(flowNo, this.#table.flows.birth(flowNo), subjects);
    this.#toldBytes[flowNo] = 0;
  }

  /** One slice. True while there is more to do at once. */
  step(): boolean {
    this.#takeChanges();
    const hasStale = this.#reviewSubjects();
    return this.#walkOn() || hasStale;
  }

  /** A slice of the walk over all flows, if one is due. True while it goes on. */
  #walkOn(): boolean {
    this.#walk ??= this.#begin();
    if (this.#walk === null) return false;
    const walk = this.#walk;
    const numbers = walk.reviewsAll ? REVIEWS_PER_SLICE : CURSOR_SLICE_NUMBERS;
    walk.cursor.walk((flowNo) => this.#visit(flowNo, walk), numbers);
    if (walk.cursor.done) this.#end(walk);
    return this.#walk !== null || this.#allStale;
  }

  #takeChanges(): void {
    const changes = this.#policy.takeChanges();
    if (changes === null) return;
    this.#allStale ||= changes.all;
    for (const subject of changes.subjects) this.#staleSubjects.add(subject);
  }

  /** Follows chains of stale subjects. True when the slice ended before they did. */
  #reviewSubjects(): boolean {
    for (let left = REVIEWS_PER_SLICE; left > 0; left -= 1) {
      if (this.#link === 0 && !this.#takeSubject()) return false;
      if (!this.#index.isUnder(this.#link, this.#subject)) this.#link = this.#index.first(this.#subject);
      if (this.#link === 0) continue;
      const flowNo = this.#index.flowNo(this.#link);
      this.#link = this.#index.next(this.#link);
      if (this.#isIndexed(flowNo)) this.#review(flowNo);
      else this.#index.remove(flowNo);
    }
    return this.#link !== 0 || this.#staleSubjects.size > 0;
  }

  /** Takes stale subjects up until one has flows; false when none is left. */
  #takeSubject(): boolean {
    for (const subject of this.#staleSubjects) {
      this.#staleSubjects.delete(subject);
      this.#subject = subject;
      this.#link = this.#index.first(subject);
      if (this.#link !== 0) return true;
    }
    return false;
  }

  /** Whether the number is still the flow that was put into the index. */
  #isIndexed(flowNo: number): boolean {
    const { flows } = this.#table;
    const isLearned = (flows.state(flowNo) & (FLOW_STATE.live | FLOW_STATE.operator)) === FLOW_STATE.live;
    return isLearned && flows.birth(flowNo) === this.#index.birth(flowNo);
  }

  #begin(): Walk | null {
    const now = this.#clock.millis();
    const pause = this.#wasFull ? WALK_MILLIS_WHEN_FULL : WALK_MILLIS;
    if (!this.#allStale && now - this.#lastWalkMillis < pause) return null;
    const { flowIdleMillis } = this.#limits;
    const walk: Walk = {
      cursor: new FlowCursor(this.#arena, null),
      beganMillis: now,
      reviewsAll: this.#allStale,
      idleMillis: this.#wasFull ? Math.min(IDLE_MILLIS_WHEN_FULL, flowIdleMillis) : flowIdleMillis,
      usedSince: this.#usedSince,
    };
    this.#allStale = false;
    this.#wasFull = false;
    return walk;
  }

  #end({ beganMillis }: Walk): void {
    this.#walk = null;
    this.#lastWalkMillis = this.#clock.millis();
    // Workers stamp flows with whole milliseconds.
    this.#usedSince = Math.floor(beganMillis) - 1;
    if (this.learnedCount === 0 && this.#index.subjectCount > 0) this.#index.clear();
  }

  #visit(flowNo: number, { idleMillis, usedSince, reviewsAll }: Walk): void {
    const { flows } = this.#table;
    if (flows.isOperator(flowNo)) return;
    const { usedMillis } = flows.stats(flowNo);
    const aliveMillis = Math.max(usedMillis, flows.createdMillis(flowNo));
    if (this.#clock.millis() - aliveMillis >= idleMillis) this.#remove(flowNo, "idle");
    else if (this.learnedCount > this.#limits.flowLimit) this.#remove(flowNo, "overLimit");
    else {
      if (usedMillis >= usedSince && usedMillis > 0) {
        this.#policy.refresh(flows.read(flowNo)!.key, usedMillis, this.#newBytes(flowNo));
      }
      if (reviewsAll) this.#review(flowNo);
    }
  }

  /** Bytes of a flow since the policy was last told, whatever was cleared meanwhile. */
  #newBytes(flowNo: number): number {
    const { bytes } = this.#table.flows.totals(flowNo);
    const told = this.#toldBytes[flowNo]!;
    this.#toldBytes[flowNo] = bytes;
    return bytes - told;
  }

  #review(flowNo: number): void {
    const flow = this.#table.flows.read(flowNo)!;
    const decision = this.#policy.review(flow.key);
    if (decision?.kind !== "flow" || !equalBytes(decision.mask, flow.mask)) {
      this.#remove(flowNo, "changed");
    } else if (!equalBytes(decision.actions, flow.actions)) {
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
    this.#index.remove(flowNo);
    this.#table.remove(flowNo);
  }
}
