// What a policy is: the decision that a packet without a megaflow needs, and what keeps it true.

export type Decision =
  /** Install a megaflow; an empty action list drops. Holds for every key that equals this one under the mask. */
  | { readonly kind: "flow"; readonly mask: Uint8Array; readonly actions: Uint8Array }
  /** Drop and count this packet, install nothing. */
  | { readonly kind: "drop" }
  /** Hand the packet to whoever listens on this pid, install nothing. */
  | { readonly kind: "pid"; readonly pid: number };

/** Which learned flows may say something else by now. */
export interface Changes {
  /** All of them: a port changed. */
  readonly all: boolean;
  /** Whether the flow with this key is among them. */
  touches(key: Uint8Array): boolean;
}

export interface Policy {
  /** Decides on a packet and learns from it. */
  decide(key: Uint8Array, nowMillis: number): Decision;
  /** Decides as if such a packet came, and learns nothing: what an installed flow should say now. */
  review(key: Uint8Array, nowMillis: number): Decision;
  /** A learned flow with this key had packets up to `usedMillis`: what it was learned from is still alive. */
  refresh(key: Uint8Array, usedMillis: number): void;
  /** Ages what it learned. About once a second. */
  tick(nowMillis: number): void;
  /** What changed since the last call; null when nothing did. */
  takeChanges(): Changes | null;
}
