// Which learned flows rest on a subject of the policy (policy.ts): on a MAC address, say. A change of the subject then
// reaches its flows without a walk over all of them.
//
// A flow hangs in one chain for each of its subjects; the links are arrays by flow number, so that 200,000 flows are
// not as many objects. Nobody tells the index when a flow leaves the table: it remembers the flow's birth, whoever
// follows a chain drops what is dead, and a number that is given anew leaves its old chains.
import { SUBJECTS_MAX } from "./policy.ts";

/** End of a chain. Flow number 0 does not exist, so no link has this number. */
const NONE = 0;

export class FlowIndex {
  readonly #heads = new Map<number, number>();
  /** By link, which is flowNo * SUBJECTS_MAX + place among the flow's subjects. */
  readonly #subjects: Float64Array;
  readonly #next: Uint32Array;
  readonly #previous: Uint32Array;
  readonly #isLinked: Uint8Array;
  /** By flow number. */
  readonly #births: Float64Array;

  constructor(flowCountMax: number) {
    const links = (flowCountMax + 1) * SUBJECTS_MAX;
    this.#subjects = new Float64Array(links);
    this.#next = new Uint32Array(links);
    this.#previous = new Uint32Array(links);
    this.#isLinked = new Uint8Array(links);
    this.#births = new Float64Array(flowCountMax + 1);
  }

  /** Subjects that have flows. */
  get subjectCount(): number {
    return this.#heads.size;
  }

  /** Puts a flow under its subjects; what its number was under before is forgotten. */
  add(flowNo: number, birth: number, subjects: readonly number[]): void {
    this.remove(flowNo);
    this.#births[flowNo] = birth;
    for (const [place, subject] of subjects.entries()) {
      if (subjects.indexOf(subject) === place) this.#link(flowNo * SUBJECTS_MAX + place, subject);
    }
  }

  remove(flowNo: number): void {
    for (let place = 0; place < SUBJECTS_MAX; place += 1) {
      const link = flowNo * SUBJECTS_MAX + place;
      if (this.#isLinked[link] === 1) this.#unlink(link);
    }
  }

  /** Forgets all flows. */
  clear(): void {
    this.#heads.clear();
    this.#isLinked.fill(0);
  }

  /** The birth of the flow that was added under this number. */
  birth(flowNo: number): number {
    return this.#births[flowNo]!;
  }

  /** Where a walk over a subject's flows begins; 0 when it has none. */
  first(subject: number): number {
    return this.#heads.get(subject) ?? NONE;
  }

  /** The link behind this one, 0 at the end. Asked before the flow is removed. */
  next(link: number): number {
    return this.#next[link]!;
  }

  /** Whether a link still hangs under the subject: between two slices its number may have been given anew. */
  isUnder(link: number, subject: number): boolean {
    return this.#isLinked[link] === 1 && this.#subjects[link] === subject;
  }

  flowNo(link: number): number {
    return Math.floor(link / SUBJECTS_MAX);
  }

  #link(link: number, subject: number): void {
    const next = this.first(subject);
    this.#subjects[link] = subject;
    this.#next[link] = next;
    this.#previous[link] = NONE;
    this.#isLinked[link] = 1;
    if (next !== NONE) this.#previous[next] = link;
    this.#heads.set(subject, link);
  }

  #unlink(link: number): void {
    const next = this.#next[link]!;
    const previous = this.#previous[link]!;
    this.#isLinked[link] = 0;
    if (next !== NONE) this.#previous[next] = previous;
    if (previous !== NONE) this.#next[previous] = next;
    else if (next !== NONE) this.#heads.set(this.#subjects[link]!, next);
    else this.#heads.delete(this.#subjects[link]!);
  }
}
