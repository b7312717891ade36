// A member of a bond: a port, whether its link is up, and whether the bond uses it. The two differ while a delay runs.

export interface MemberDelays {
  readonly updelayMillis: number;
  readonly downdelayMillis: number;
}

/** Of a port, as it is told. */
export interface LinkState {
  readonly isUp: boolean;
  /** Of the port's interface; undefined when it has none. */
  readonly mac: string | undefined;
}

export class BondMember {
  readonly name: string;
  /** Undefined while the port is not open. */
  portNo: number | undefined;
  link: LinkState = { isUp: false, mac: undefined };
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
    const { isEnabled } = this;
    const { isUp } = this.link;
    if (isUp === isEnabled) {
      this.dueMillis = Number.POSITIVE_INFINITY;
      return undefined;
    }
    if (this.dueMillis === Number.POSITIVE_INFINITY) {
      const { updelayMillis, downdelayMillis } = this.#delays;
      this.dueMillis = now + (isUp ? updelayMillis : downdelayMillis);
    }
    return now >= this.dueMillis ? isUp : undefined;
  }
}
