// What a run covered, and its report.

const SHARE_MIN = 0.8;

export class Tally {
  /** Flows given as text to both. */
  cases = 0;
  /** OpenFlow rules, of which Open vSwitch made the flows. */
  ruleCases = 0;
  packets = 0;
  outputs = 0;
  #flows = { total: 0, both: 0, neither: 0, ours: 0, theirs: 0 };
  readonly #actions = new Map<string, number>();
  readonly #rules = new Map<string, number>();
  readonly #leftOut = new Map<string, number>();

  flow(isOurs: boolean, isTheirs: boolean): void {
    this.#flows.total += 1;
    this.#flows[isOurs ? (isTheirs ? "both" : "ours") : isTheirs ? "theirs" : "neither"] += 1;
  }

  action(name: string): void {
    increment(this.#actions, name);
  }

  rule(name: string): void {
    increment(this.#rules, name);
  }

  leftOut(reason: string): void {
    increment(this.#leftOut, reason);
  }

  /** Part of the flows that both switches took. */
  get acceptedShare(): number {
    return this.#flows.both / this.#flows.total;
  }

  get isShareReached(): boolean {
    return this.acceptedShare >= SHARE_MIN;
  }

  report(seconds: number): string {
    const { total, both, neither, ours, theirs } = this.#flows;
    const cases = this.cases + this.ruleCases;
    const perMinute = Math.round((cases / seconds) * 60);
    return [
      `${cases} cases (${perMinute} a minute; ${this.ruleCases} of them OpenFlow rules), ${this.packets} packets, ${this.outputs} outputs, every checksum of them recomputed`,
      `flows: ${total}; accepted by both ${both} (${(this.acceptedShare * 100).toFixed(1)} %, ${SHARE_MIN * 100} % are wanted), by none ${neither}, by Millrace alone ${ours}, by Open vSwitch alone ${theirs}`,
      ...table("accepted flows with an action", this.#actions),
      ...table("differences that docs/conformance.md knows, by rule", this.#rules),
      ...table("left out", this.#leftOut),
    ].join("\n");
  }
}

function increment(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

function table(title: string, counts: ReadonlyMap<string, number>): string[] {
  const rows = [...counts].sort(([, left], [, right]) => right - left);
  return [`${title}:`, ...rows.map(([name, count]) => `  ${String(count).padStart(7)}  ${name}`)];
}
