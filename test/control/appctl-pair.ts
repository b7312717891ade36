// The same commands through ovs-appctl to the daemon and to the real Open vSwitch, answer by answer.
import type { Test } from "tap";
import { type ProgramAnswer, runProgram } from "../support/daemon.ts";

export class Pair {
  readonly #sockets: readonly [ours: string, theirs: string];

  readonly #asked: Set<string>;

  /** @param asked gets the names of commands that were asked of both */
  constructor(sockets: readonly [ours: string, theirs: string], asked: Set<string>) {
    this.#sockets = sockets;
    this.#asked = asked;
  }

  ask(name: string, ...args: readonly string[]): readonly [ours: ProgramAnswer, theirs: ProgramAnswer] {
    this.#asked.add(name);
    const [ours, theirs] = this.#sockets.map((socket) =>
      runProgram("ovs-appctl", "-t", socket, name, ...args),
    );
    return [ours!, theirs!];
  }

  /** Asks both and compares the exit code and the text in a form that `shape` gives it. */
  same(t: Test, shape: (text: string) => unknown, name: string, ...args: readonly string[]): void {
    const [ours, theirs] = this.ask(name, ...args);
    const about = [name, ...args].join(" ").slice(0, 140);
    t.equal(ours.code, theirs.code, `${about}: exit code (${ours.err.trimEnd()} | ${theirs.err.trimEnd()})`);
    t.strictSame(shape(ours.out), shape(theirs.out), about);
    t.strictSame(refusalOf(ours.err, theirs.err), refusalLines(theirs.err), `${about}: refusal`);
  }
}

/** What the server said, without ovs-appctl's own line, which names the target. */
export const refusalLines = (text: string): string[] =>
  text.split("\n").filter((line) => !/^ovs-appctl: |^$/.test(line));

/** Ours without the lines that explain what OVS leaves unexplained. */
function refusalOf(ours: string, theirs: string): string[] {
  const known = refusalLines(theirs);
  return known.length === 0 ? refusalLines(ours) : refusalLines(ours).filter((line) => known.includes(line));
}
