// The handler thread's way out to programs: upcalls of the pids that somebody listens on, and changes of flows while
// somebody watches. They gather during a round and go to control in one message; room in the queues is free again when
// control says that the program's socket has them, so a slow reader is felt here and nowhere else.
import type { ObservedTable } from "../table/observed-table.ts";
import type { Handler } from "../upcall/handler.ts";
import { UpcallOutlet } from "../upcall/upcall-outlet.ts";
import type { FlowChangeEvent, HandlerOutput, PidOutput, WrittenOutput } from "./handler-protocol.ts";

/** Changes of flows under way to control: some megabytes. */
const FLOW_EVENTS_MAX = 4096;

export class HandlerOutlets {
  readonly #handler: Handler;
  readonly #table: ObservedTable;
  readonly #post: (output: HandlerOutput) => void;
  readonly #outlets = new Map<number, UpcallOutlet>();
  #flowEvents: FlowChangeEvent[] = [];
  /** Under way, those that gather included. */
  #flowEventCount = 0;
  #flowEventsLost = 0;

  constructor(handler: Handler, table: ObservedTable, post: (output: HandlerOutput) => void) {
    this.#handler = handler;
    this.#table = table;
    this.#post = post;
  }

  listen(pid: number): void {
    const outlet = new UpcallOutlet();
    this.#outlets.set(pid, outlet);
    this.#handler.pids.listen(pid, (upcall) => outlet.offer(upcall));
  }

  unlisten(pid: number): void {
    this.#outlets.delete(pid);
    this.#handler.pids.unlisten(pid);
  }

  watchFlows(isWatched: boolean): void {
    this.#table.observer = isWatched ? (event, flowNo) => this.#note(event, flowNo) : undefined;
  }

  /** Control has written these out, or dropped them with their reader. */
  written({ upcalls, flowEvents }: WrittenOutput): void {
    for (const { pid, portNo, bytes } of upcalls) this.#outlets.get(pid)?.written(portNo, bytes);
    this.#flowEventCount -= flowEvents;
  }

  /** Sends what gathered. Once a round. */
  flush(): void {
    const pids: PidOutput[] = [];
    for (const [pid, outlet] of this.#outlets) if (!outlet.isEmpty) pids.push({ pid, ...outlet.take() });
    if (pids.length === 0 && this.#flowEvents.length === 0 && this.#flowEventsLost === 0) return;
    this.#post({ pids, flowEvents: this.#flowEvents, flowEventsLost: this.#flowEventsLost });
    this.#flowEvents = [];
    this.#flowEventsLost = 0;
  }

  #note(event: FlowChangeEvent["event"], flowNo: number): void {
    if (this.#flowEventCount >= FLOW_EVENTS_MAX) {
      this.#flowEventsLost += 1;
      return;
    }
    this.#flowEventCount += 1;
    this.#flowEvents.push({ event, flow: this.#table.flows.read(flowNo)! });
  }
}
