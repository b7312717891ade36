// What the handler has for programs, on its way to their sockets: upcalls to whoever is bound to the pid, changes of
// flows to the members of ovs_flow. The handler is told what the system has taken, once a turn of the event loop, and
// holds its queues until then (upcall/upcall-outlet.ts).
import { FAMILY } from "../../netlink/families.ts";
import { FLOW_ATTRIBUTES, FLOW_COMMAND } from "../../netlink/flow-messages.ts";
import { PSAMPLE_PID, type Upcall } from "../../upcall/pid-listeners.ts";
import { upcallBytes } from "../../upcall/upcall-outlet.ts";
import type { FlowChangeEvent, HandlerOutput, PidOutput } from "../handler-protocol.ts";
import type { NetlinkContext } from "./context.ts";
import { encodeNotice } from "./exchange.ts";
import { flowAttributes } from "./flow-messages.ts";
import { encodeSample, encodeUpcall, sampleGroup } from "./upcall-messages.ts";

const FLOW_COMMANDS = {
  added: FLOW_COMMAND.new,
  changed: FLOW_COMMAND.set,
  removed: FLOW_COMMAND.del,
} as const;

interface Written {
  readonly pid: number;
  readonly portNo: number;
  bytes: number;
}

export class Outlet {
  readonly #context: NetlinkContext;
  #written = new Map<string, Written>();
  #flowEvents = 0;
  /** By psample group: messages so far. */
  readonly #sequences = new Map<number, number>();
  #isReporting = false;

  constructor(context: NetlinkContext) {
    this.#context = context;
  }

  take({ pids, flowEvents, flowEventsLost }: HandlerOutput): void {
    for (const output of pids) this.#upcalls(output);
    for (const change of flowEvents) this.#flowChange(change);
    this.#flowEvents += flowEvents.length;
    const members = this.#context.subscriptions.members(FAMILY.flow.group.id);
    for (const member of members) member.countLoss(flowEventsLost);
    if (flowEvents.length > 0) this.#report();
  }

  #upcalls({ pid, upcalls, lost }: PidOutput): void {
    if (pid === PSAMPLE_PID) {
      this.#samples(upcalls, lost);
      return;
    }
    const listener = this.#context.subscriptions.listener(pid);
    listener?.countLoss(lost);
    for (const upcall of upcalls) {
      const bytes = upcallBytes(upcall);
      const written = (): void => this.#countWritten(pid, upcall.portNo, bytes);
      if (listener === undefined) written();
      else listener.deliver(encodeUpcall(upcall, this.#context.vlanLimit), written);
    }
  }

  /** Every member has a bound of its own (connection.ts), so the handler's queue is free at once. */
  #samples(upcalls: readonly Upcall[], lost: number): void {
    const { subscriptions } = this.#context;
    const group = FAMILY.psample.group.id;
    for (const member of subscriptions.members(group)) member.countLoss(lost);
    for (const upcall of upcalls) {
      subscriptions.notify(group, encodeSample(upcall, this.#nextSequence(sampleGroup(upcall)), Date.now()));
      this.#countWritten(PSAMPLE_PID, upcall.portNo, upcallBytes(upcall));
    }
  }

  #nextSequence(sampledGroup: number): number {
    const sequence = this.#sequences.get(sampledGroup) ?? 0;
    this.#sequences.set(sampledGroup, (sequence + 1) >>> 0);
    return sequence;
  }

  #flowChange({ event, flow }: FlowChangeEvent): void {
    const values = flowAttributes(flow, this.#context.vlanLimit);
    const bytes = encodeNotice(FAMILY.flow, FLOW_COMMANDS[event], FLOW_ATTRIBUTES, values);
    this.#context.subscriptions.notify(FAMILY.flow.group.id, bytes);
  }

  #countWritten(pid: number, portNo: number, bytes: number): void {
    const name = `${pid} ${portNo}`;
    const written = this.#written.get(name);
    if (written === undefined) this.#written.set(name, { pid, portNo, bytes });
    else written.bytes += bytes;
    this.#report();
  }

  #report(): void {
    if (this.#isReporting) return;
    this.#isReporting = true;
    setImmediate(() => {
      this.#isReporting = false;
      const upcalls = [...this.#written.values()];
      const flowEvents = this.#flowEvents;
      this.#written = new Map();
      this.#flowEvents = 0;
      // A handler that ended has no queues any more; whoever watches it tells.
      this.#context.handler.ask("written", { upcalls, flowEvents }).catch(() => undefined);
    });
  }
}
