// The policy of a switch that forwards by the operator's flows alone: a miss is dropped and counted, or goes up to a pid.
import type { Changes, Decision, Policy } from "../upcall/policy.ts";

const DROP: Decision = { kind: "drop" };

export class FlowsPolicy implements Policy {
  readonly #decision: Decision;

  /** @param missPid who gets misses; undefined drops them */
  constructor(missPid: number | undefined) {
    this.#decision = missPid === undefined ? DROP : { kind: "pid", pid: missPid };
  }

  decide(): Decision {
    return this.#decision;
  }

  review(): Decision {
    return this.#decision;
  }

  /** It learns nothing, so nothing ages or changes. */
  refresh(): void {}

  tick(): boolean {
    return false;
  }

  takeChanges(): Changes | null {
    return null;
  }
}
