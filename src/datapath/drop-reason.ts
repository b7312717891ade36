// Why a packet was dropped: one closed list for the whole switch. Every packet that is not transmitted and not
// consumed by an upcall leaves under exactly one of these, counted by the thread that dropped it (THREAD.drops).
// A packet whose actions send nothing is a drop too.

import { ACTION_END } from "../action/output-sink.ts";

export const DROP_REASONS = [
  { name: "flow_drop", help: "the flow's actions send the packet nowhere" },
  { name: "miss_policy", help: "no flow matched and the policy does not forward it" },
  { name: "upcall_lost", help: "no flow matched and the upcall ring was full" },
  { name: "upcall_share", help: "no flow matched and the port had used up its share of the upcall ring" },
  {
    name: "upcall_userspace",
    help: "the packet of a userspace action found the upcall ring full or its port's share used up",
  },
  { name: "invalid_port", help: "output to a port that does not exist" },
  { name: "port_down", help: "output to a port that is down" },
  { name: "not_ethernet", help: "output of a packet without Ethernet header to an Ethernet port" },
  { name: "mtu", help: "longer than the output port's MTU" },
  { name: "tx_full", help: "the output port's transmit ring was full" },
  { name: "tx_error", help: "the output port's kernel refused the packet" },
  { name: "patch_loop", help: "passed more patch ports than the limit" },
  { name: "handoff_full", help: "the ring to the worker that owns the port's transmit queue was full" },
  { name: "no_frame", help: "no free frame for a copy or a header" },
  { name: "rx_short", help: "received with fewer bytes than an Ethernet header" },
  { name: "rx_long", help: "received with more bytes than the longest packet that passes" },
  { name: "rx_error", help: "received with an error that the port names" },
  { name: "csum_unfinished", help: "a partial checksum that could not be finished" },
  { name: "action_error", help: "an action could not be carried out on this packet" },
  { name: "tunnel_push", help: "a tunnel header could not be put in front" },
  { name: "tunnel_pop", help: "not a packet of the tunnel that was to end here, or not in order" },
  { name: "tunnel_key", help: "output to a tunnel port without a tunnel key that it can send" },
  { name: "tunnel_route", help: "output to a tunnel whose remote end no route leads to" },
  { name: "tunnel_neighbour", help: "output to a tunnel whose next hop's address is not known yet" },
  { name: "meter", help: "beyond the rate of a meter" },
  { name: "invalid_bond", help: "lb_output to a bond that does not exist" },
  { name: "recirc_limit", help: "recirculated more often than the limit" },
  { name: "hold_full", help: "held behind a miss of its own flow and the reinject ring was full" },
  { name: "stopping", help: "in hand when the switch stopped or its port closed" },
] as const;

export type DropReason = (typeof DROP_REASONS)[number]["name"];

/** Index by name: `DROP.flow_drop`. Hot code keeps the indices in module constants. */
export const DROP = Object.fromEntries(DROP_REASONS.map(({ name }, index) => [name, index])) as Readonly<
  Record<DropReason, number>
>;

/** By ACTION_END: the reason under which the packet of a list that ended so is dropped. */
export const END_REASONS = new Uint8Array(Object.keys(ACTION_END).length);
END_REASONS[ACTION_END.nowhere] = DROP.flow_drop;
END_REASONS[ACTION_END.noFrame] = DROP.no_frame;
END_REASONS[ACTION_END.unable] = DROP.action_error;
END_REASONS[ACTION_END.notPushed] = DROP.tunnel_push;
END_REASONS[ACTION_END.notPopped] = DROP.tunnel_pop;
END_REASONS[ACTION_END.meter] = DROP.meter;
END_REASONS[ACTION_END.noBond] = DROP.invalid_bond;
