// What control asks of the handler thread and what it answers: plain data over the thread's port. Every request has an
// answer with its id; requests are carried out in their order, changes of flows in slices between upcalls.
import type { BondSettings } from "../bridge/bond/bond.ts";
import type { BondChange, BondChangeAnswer } from "../bridge/bond/bond-change.ts";
import type { BondView } from "../bridge/bond/bond-view.ts";
import type { LinkState } from "../bridge/bond/member.ts";
import type { MacTableCounts } from "../bridge/learn/mac-table.ts";
import type { ArenaHandle } from "../memory/arena.ts";
import type { FlowView } from "../table/flow-reader.ts";
import type { FlowEvent } from "../table/observed-table.ts";
import type { Neighbour } from "../tunnel/neighbours.ts";
import type { TunnelState } from "../tunnel/state.ts";
import type { FlowChange, FlowOutcome } from "../upcall/flow-change.ts";
import type { Injection, InjectRefusal } from "../upcall/injector.ts";
import type { PidCounts, Upcall } from "../upcall/pid-listeners.ts";
import type { RevalidatorCounts } from "../upcall/revalidator.ts";
import type { Config } from "./config/schema.ts";
import type { PortNews } from "./handler-core.ts";

export interface HandlerSettings {
  readonly handle: ArenaHandle;
  readonly policy: Config["policy"];
  readonly bonds: readonly BondSettings[];
  readonly debugLedger: boolean;
}

export interface HandlerStats {
  readonly installed: number;
  readonly refused: number;
  readonly learnedFlows: number;
  readonly removed: RevalidatorCounts;
  /** Microseconds from a worker's sending to the answer. */
  readonly latencyMicros: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly pids: readonly ({ readonly pid: number } & PidCounts)[];
}

/** Request by name: its arguments and its answer. */
export interface HandlerRequests {
  /** `brief`: the flow itself is told only with an error. */
  readonly apply: {
    args: { changes: readonly FlowChange[]; brief: boolean };
    answer: readonly FlowOutcome[];
  };
  /** By ufid when it is given, else by key. */
  readonly find: {
    args: { ufid: Uint8Array | undefined; key: Uint8Array | undefined };
    answer: FlowView | null;
  };
  readonly flush: { args: Record<never, never>; answer: null };
  readonly setPort: { args: PortNews; answer: null };
  readonly setLink: { args: { portNo: number; link: LinkState }; answer: null };
  readonly bonds: { args: Record<never, never>; answer: readonly BondView[] };
  readonly changeBond: { args: BondChange; answer: BondChangeAnswer };
  readonly setTunnels: { args: Pick<TunnelState, "endpoints" | "listeners">; answer: null };
  readonly removePort: { args: { portNo: number }; answer: null };
  /** Rows of bridge/learn/mac-rows.ts. */
  readonly macs: { args: Record<never, never>; answer: Float64Array };
  /** Upcalls of this pid come out from now on. */
  readonly listen: { args: { pid: number }; answer: null };
  readonly unlisten: { args: { pid: number }; answer: null };
  readonly watchFlows: { args: { isWatched: boolean }; answer: null };
  readonly written: { args: WrittenOutput; answer: null };
  /** A packet of a program; the answer is why it could not be sent down. */
  readonly inject: { args: Injection; answer: InjectRefusal | null };
  /** As UpcallDispatch has them. */
  readonly setPortPids: { args: { portNo: number; pids: readonly number[] }; answer: null };
  readonly setWorkerPids: { args: { pids: readonly number[] }; answer: null };
  readonly macCounts: { args: Record<never, never>; answer: MacTableCounts };
  readonly flushMacs: { args: Record<never, never>; answer: null };
  readonly stats: { args: Record<never, never>; answer: HandlerStats };
  readonly stop: { args: Record<never, never>; answer: null };
}

export type HandlerRequestName = keyof HandlerRequests;

export interface HandlerRequest<Name extends HandlerRequestName = HandlerRequestName> {
  readonly id: number;
  readonly name: Name;
  readonly args: HandlerRequests[Name]["args"];
}

/** What comes out of the handler without being asked for, once a round. */
export interface HandlerOutput {
  readonly pids: readonly PidOutput[];
  readonly flowEvents: readonly FlowChangeEvent[];
  readonly flowEventsLost: number;
}

export interface PidOutput {
  readonly pid: number;
  readonly upcalls: readonly Upcall[];
  readonly lost: number;
}

export interface FlowChangeEvent {
  readonly event: FlowEvent;
  readonly flow: FlowView;
}

/** What of it has left control again. */
export interface WrittenOutput {
  readonly upcalls: readonly { readonly pid: number; readonly portNo: number; readonly bytes: number }[];
  readonly flowEvents: number;
}

/** An answer, output, a neighbour of a tunnel endpoint that told its address, or what became of a bond, for the log. */
export type HandlerMessage =
  | HandlerAnswer
  | { readonly output: HandlerOutput }
  | { readonly neighbour: Neighbour }
  | { readonly bondNotice: string };

export interface HandlerAnswer {
  readonly id: number;
  readonly answer: unknown;
}
