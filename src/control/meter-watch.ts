// Flows that ask for meters which do not exist: they are installed, as in OVS, and their packets pass; but it is said.
import type { MeterTable } from "../action/meter-table.ts";
import { metersOf } from "../action/meters-of.ts";
import type { FlowView } from "../table/flow-reader.ts";
import type { FlowChange, FlowOutcome } from "../upcall/flow-change.ts";
import type { FlowWriter } from "./flow-service.ts";

/** A flow table's writer that warns, once for each meter until it is set. */
export class MeterWatch implements FlowWriter {
  readonly #writer: FlowWriter;
  readonly #meters: MeterTable;
  readonly #warn: (message: string) => void;
  readonly #warned = new Set<number>();

  constructor(writer: FlowWriter, meters: MeterTable, warn: (message: string) => void) {
    this.#writer = writer;
    this.#meters = meters;
    this.#warn = warn;
  }

  async apply(changes: readonly FlowChange[]): Promise<readonly FlowOutcome[]> {
    const outcomes = await this.#writer.apply(changes);
    for (const [index, change] of changes.entries()) {
      if (change.op === "put" && change.actions !== undefined && outcomes[index]?.error === null)
        this.#check(change.actions);
    }
    return outcomes;
  }

  find(ufid: Uint8Array | undefined, key?: Uint8Array): Promise<FlowView | null> {
    return this.#writer.find(ufid, key);
  }

  flush(): Promise<void> {
    return this.#writer.flush();
  }

  #check(actions: Uint8Array): void {
    for (const id of metersOf(actions)) {
      if (this.#meters.has(id)) this.#warned.delete(id);
      else if (!this.#warned.has(id)) {
        this.#warned.add(id);
        this.#warn(
          `a flow asks for meter ${id}, which does not exist: its packets pass unmetered (millrace/meter-set)`,
        );
      }
    }
  }
}
