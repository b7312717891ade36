// The table's writer with somebody who is told of each change: after a flow was added or changed, and before it is
// removed, so that it can be read.
import { type FlowPut, type PutResult, TableWriter } from "./table-writer.ts";

export type FlowEvent = "added" | "changed" | "removed";
export type FlowObserver = (event: FlowEvent, flowNo: number) => void;

export class ObservedTable extends TableWriter {
  /** Undefined while nobody wants to know. */
  observer: FlowObserver | undefined;

  override put(request: FlowPut): PutResult {
    const result = super.put(request);
    if (result.error === null && result.created) this.observer?.("added", result.flowNo);
    return result;
  }

  override modify(flowNo: number, actions: Uint8Array, clear = false): boolean {
    const isModified = super.modify(flowNo, actions, clear);
    if (isModified) this.observer?.("changed", flowNo);
    return isModified;
  }

  override remove(flowNo: number): void {
    this.observer?.("removed", flowNo);
    super.remove(flowNo);
  }
}
