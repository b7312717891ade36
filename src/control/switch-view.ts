// What commands may see and do: the switch behind one interface, so that they do not depend on how it is composed.
import type { Arena } from "../memory/arena.ts";
import type { Ports } from "./ports.ts";

export interface WorkerView {
  /** Thread index in the arena. */
  readonly index: number;
  /** CPU it is pinned to, null when it is not. */
  readonly cpu: number | null;
  readonly state: "starting" | "running" | "draining" | "stopped" | "failed";
  readonly restarts: number;
}

export interface SwitchView {
  readonly arena: Arena;
  readonly ports: Ports;
  /** As dpctl names it: `netdev@millrace`. */
  readonly datapath: string;
  /** performance.now() at start. */
  readonly startedMillis: number;
  workers(): readonly WorkerView[];
}

/** True when `name` is the datapath, with or without its type. */
export function namesDatapath(view: SwitchView, name: string): boolean {
  return name === view.datapath || name === view.datapath.split("@")[1];
}
