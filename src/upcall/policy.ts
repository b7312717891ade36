// What a policy is: the decision that a packet without a megaflow needs, and what keeps it true.

import type { Neighbour } from "../tunnel/neighbours.ts";

export interface FlowDecision {
  readonly kind: "flow";
  readonly mask: Uint8Array;
  /** An empty list drops. */
  readonly actions: Uint8Array;
  /** What the decision rests on, as numbers of the policy's own; when one changes, the flow has to be reviewed. */
  readonly subjects: readonly number[];
}

export type Decision =
  /** Install a megaflow. Holds for every key that equals this one under the mask. */
  | FlowDecision
  /** Drop and count this packet, install nothing. */
  | { readonly kind: "drop" }
  /** Hand the packet to whoever listens on this pid, install nothing. */
  | { readonly kind: "pid"; readonly pid: number };

/** Which learned flows may say something else by now. */
export interface Changes {
  /** All of them: a port changed. */
  readonly all: boolean;
  /** Those that rest on these. */
  readonly subjects: ReadonlySet<number>;
}

export interface Policy {
  /** Decides on a packet and learns from it. */
  decide(key: Uint8Array, nowMillis: number): Decision;
  /**
   * What an installed flow with this key should say now; learns nothing. Null when the flow has to go whatever it says,
   * because its packets have something to teach.
   */
  review(key: Uint8Array): Decision | null;
  /**
   * A learned flow with this key had packets up to `usedMillis`: what it was learned from is still alive. `bytes` are
   * those of its packets since the last call.
   */
  refresh(key: Uint8Array, usedMillis: number, bytes: number): void;
  /** A slice of ageing. True while there is more to do at once. */
  tick(nowMillis: number): boolean;
  /** What changed since the last call; null when nothing did. */
  takeChanges(): Changes | null;
  /**
   * Answers a packet that is for the switch itself, which nobody else gets then; undefined when it is none.
   * @param packet its bytes, asked for only when they are needed
   */
  own?(key: Uint8Array, packet: () => Uint8Array): OwnPacket | undefined;
  /** The next packet that the policy sends of its own accord; undefined when it has none to send now. */
  nextPacket?(): PolicyPacket | undefined;
}

export interface PolicyPacket {
  readonly portNo: number;
  readonly packet: Uint8Array;
}

/** What came of a packet for the switch itself. */
export interface OwnPacket {
  /** To be sent out of the port that it came in on. */
  readonly reply: Uint8Array | null;
  /** The address of a neighbour that it told. */
  readonly learned: Neighbour | null;
}

/** Most subjects of one decision. */
export const SUBJECTS_MAX = 3;
