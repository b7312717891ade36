// What the families of the netlink socket work on.
import type { MeterTable } from "../../action/meter-table.ts";
import type { Clock } from "../../memory/clock.ts";
import type { FlowService } from "../flow-service.ts";
import type { HandlerLink } from "../handler-link.ts";
import type { Switch } from "../switch.ts";
import type { SwitchView } from "../switch-view.ts";
import type { Exchange } from "./exchange.ts";
import { Subscriptions } from "./subscriptions.ts";
import { UpcallPids } from "./upcall-pids.ts";

export interface NetlinkContext {
  readonly view: SwitchView;
  readonly flows: FlowService;
  readonly handler: HandlerLink;
  readonly meters: MeterTable;
  readonly clock: Clock;
  /** Tags that keys hold. */
  readonly vlanLimit: number;
  readonly subscriptions: Subscriptions;
  readonly upcallPids: UpcallPids;
}

/** Carries a request of a family out and answers it; acknowledgements are the caller's. */
export type FamilyService = (exchange: Exchange) => Promise<void>;

/** A running switch as programs see it. */
export function netlinkContext(running: Switch): NetlinkContext {
  const { flows, handler, meters, clock, config } = running;
  return {
    view: running,
    flows,
    handler,
    meters,
    clock,
    vlanLimit: config["vlan-limit"],
    subscriptions: new Subscriptions(handler),
    upcallPids: new UpcallPids(handler),
  };
}
