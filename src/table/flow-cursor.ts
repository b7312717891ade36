// Walks all flows in slices, beside a writer that goes on changing the table: dumps by the control thread, expiry and
// revalidation by the handler.
//
// Flows come in the order of their numbers. A flow that exists from the first slice to the last is shown exactly once;
// none is shown twice, and none that was made after the walk began is shown at all: a number that was given anew, and
// a flow that was removed and put again, have a later birth.
import type { Arena } from "../memory/arena.ts";
import type { EpochReader } from "../memory/epoch.ts";
import { FlowReader, type FlowView } from "./flow-reader.ts";
import { FLOW, FLOW_STATE, flowWord, ROOT } from "./layout.ts";

/** Numbers that one slice looks at: well under a millisecond even when each is a flow to be copied. */
export const CURSOR_SLICE_NUMBERS = 256;

export class FlowCursor {
  readonly #arena: Arena;
  readonly #reader: FlowReader;
  readonly #epochs: EpochReader | null;
  readonly #bornUntil: number;
  readonly #highWater: number;
  #nextFlowNo = 1;

  /** @param epochs of the calling thread, which is offline outside of slices; null in the writer's own thread */
  constructor(arena: Arena, epochs: EpochReader | null) {
    this.#arena = arena;
    this.#reader = new FlowReader(arena);
    this.#epochs = epochs;
    const root = arena.region("tableRoot").offset;
    this.#bornUntil = arena.f64[(root + ROOT.birth * 4) >>> 3]!;
    // Pairs with the store in FlowStore.alloc. Loaded after the birth: a later flow may be below it, never an earlier above.
    this.#highWater = arena.intrinsics.load(root + ROOT.highWater * 4);
  }

  get done(): boolean {
    return this.#nextFlowNo > this.#highWater;
  }

  /** The next slice's flows; it may be empty while `done` is still false. */
  next(): FlowView[] {
    const views: FlowView[] = [];
    this.walk((flowNo) => {
      const view = this.#reader.read(flowNo);
      if (view !== null) views.push(view);
    });
    return views;
  }

  /**
   * Visits the numbers of the next slice's flows; what hangs on them may be read within `visit` only.
   * @param numbers flow numbers that the slice looks at
   */
  walk(visit: (flowNo: number) => void, numbers = CURSOR_SLICE_NUMBERS): void {
    this.#epochs?.quiesce();
    try {
      const end = Math.min(this.#nextFlowNo + numbers, this.#highWater + 1);
      for (; this.#nextFlowNo < end; this.#nextFlowNo += 1) {
        if (this.#isShown(this.#nextFlowNo)) visit(this.#nextFlowNo);
      }
    } finally {
      this.#epochs?.goOffline();
    }
  }

  #isShown(flowNo: number): boolean {
    if ((this.#reader.state(flowNo) & FLOW_STATE.live) === 0) return false;
    return this.#arena.f64[(flowWord(this.#arena, flowNo) + FLOW.birth) >>> 1]! <= this.#bornUntil;
  }
}
