// A member of a bond: a port, whether it has carrier, and whether the bond uses it. The two differ while a delay runs.

export interface MemberDelays {
  readonly updelayMillis: number;
  readonly downdelayMillis: number;
}

export class BondMember {
  readonly name: string;
  /** Undefined while the port is not open. */
  portNo: number | undefined;
  /** Undefined when the port has none. */
  mac: string | undefined;
  hasCarrier = false;
  isEnabled = false;
  /** When it is enabled or disabled; infinite when no delay runs. */
  dueMillis = Number.POSITIVE_INFINITY;
  readonly #delays: MemberDelays;

  constructor(name: string, delays: MemberDelays) {
    this.name = name;
    this.#delays = delays;
  }

  /** Starts or ends a delay. Returns whether to enable the member when it is time to decide, else undefined. */
  settle(now: number): boolean | undefined {
    const { hasCarrier, isEnabled } = this;
    if (hasCarrier === isEnabled) {
      this.dueMillis = Number.POSITIVE_INFINITY;
      return undefined;
    }
    if (this.dueMillis === Number.POSITIVE_INFINITY) {
      const { updelayMillis, downdelayMillis } = this.#delays;
      this.dueMillis = now + (hasCarrier ? updelayMillis : downdelayMillis);
    }
    return now >= this.dueMillis ? hasCarrier : undefined;
  }
}
