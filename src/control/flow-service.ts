// The flow table as control reaches it: changes through whoever is its writer, reading where it stands.
import type { Arena } from "../memory/arena.ts";
import { EpochReader } from "../memory/epoch.ts";
import { controlThread } from "../memory/region-plan.ts";
import { FlowCursor } from "../table/flow-cursor.ts";
import type { FlowView } from "../table/flow-reader.ts";
import { ROOT } from "../table/layout.ts";
import { type TableStats, tableStats } from "../table/table-stats.ts";
import type { FlowChange, FlowOutcome } from "../upcall/flow-change.ts";

/** The writer's side, in this thread or another. */
export interface FlowWriter {
  /** Applies changes in order; one that fails does not stop the rest. */
  apply(changes: readonly FlowChange[]): Promise<readonly FlowOutcome[]>;
  /** By ufid when it is given, else by key. */
  find(ufid: Uint8Array | undefined, key?: Uint8Array): Promise<FlowView | null>;
  /** Removes every flow; resolves when they are gone. */
  flush(): Promise<void>;
}

export class FlowService {
  readonly writer: FlowWriter;
  readonly #arena: Arena;
  readonly #epochs: EpochReader | null;

  /** @param inWriterThread the writer is this thread: then it needs no epoch to read */
  constructor(arena: Arena, writer: FlowWriter, inWriterThread: boolean) {
    this.#arena = arena;
    this.writer = writer;
    this.#epochs = inWriterThread ? null : new EpochReader(arena, controlThread(arena.plan.sizes));
  }

  get flowCount(): number {
    return this.#arena.u32[(this.#arena.region("tableRoot").offset >>> 2) + ROOT.flowCount]!;
  }

  /** All flows, in slices that let other work in between. */
  async *all(): AsyncGenerator<FlowView> {
    const cursor = new FlowCursor(this.#arena, this.#epochs);
    while (!cursor.done) {
      yield* cursor.next();
      await new Promise((resume) => setImmediate(resume));
    }
  }

  stats(): TableStats {
    this.#epochs?.quiesce();
    try {
      return tableStats(this.#arena);
    } finally {
      this.#epochs?.goOffline();
    }
  }
}
