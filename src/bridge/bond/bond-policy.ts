// A policy with bonds beside it: packets that a bond recirculated are the bonds' to decide, all others the policy's.
import type { Changes, Decision, Policy, PolicyPacket } from "../../upcall/policy.ts";
import type { Bonds } from "./bonds.ts";

export class BondPolicy implements Policy {
  readonly #bonds: Bonds;
  readonly #inner: Policy;

  constructor(bonds: Bonds, inner: Policy) {
    this.#bonds = bonds;
    this.#inner = inner;
  }

  decide(key: Uint8Array, nowMillis: number): Decision {
    return this.#bonds.decide(key) ?? this.#inner.decide(key, nowMillis);
  }

  review(key: Uint8Array): Decision | null {
    return this.#bonds.decide(key) ?? this.#inner.review(key);
  }

  refresh(key: Uint8Array, usedMillis: number, bytes: number): void {
    if (!this.#bonds.charge(key, bytes)) this.#inner.refresh(key, usedMillis, bytes);
  }

  tick(nowMillis: number): boolean {
    this.#bonds.run(nowMillis);
    return this.#inner.tick(nowMillis);
  }

  nextPacket(): PolicyPacket | undefined {
    return this.#inner.nextPacket?.();
  }

  takeChanges(): Changes | null {
    const changed = this.#bonds.takeChanged();
    const inner = this.#inner.takeChanges();
    if (inner === null) return changed.size === 0 ? null : { all: false, subjects: changed };
    if (changed.size === 0) return inner;
    return { all: inner.all, subjects: new Set([...inner.subjects, ...changed]) };
  }
}
