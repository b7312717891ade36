// Programs of a switch: what is compiled is held against the reference on a thread of its own before workers get it, and
// what fails there is not used.
import { EventEmitter, once } from "node:events";
import t from "tap";
import { encodeProgram, type ProgramSource } from "../../src/compile/program-module.ts";
import { Programs } from "../../src/control/programs.ts";
import { ValidatorThread } from "../../src/control/validator-thread.ts";
import type { Arena } from "../../src/memory/arena.ts";
import { subject } from "../compile/validation-rig.ts";

interface Outcome {
  readonly published: number;
  readonly refused: number;
  readonly log: readonly string[];
}

/** What becomes of the program for the rig's table. */
async function outcome(
  encode: (arena: Arena, source: ProgramSource) => Uint8Array<ArrayBuffer>,
): Promise<Outcome> {
  const { arena } = subject();
  const log: string[] = [];
  let published = 0;
  const events = new EventEmitter();
  const decided = once(events, "decided");
  const programs = new Programs({
    arena,
    vlanLimit: 1,
    debugLedger: false,
    validator: new ValidatorThread(arena),
    encode,
    publish: () => {
      published += 1;
    },
    log: (level, message) => {
      log.push(`${level}: ${message}`);
      events.emit("decided");
    },
  });
  programs.start();
  await decided;
  await programs.stop();
  return { published, refused: programs.refused, log };
}

t.test("a program that does as the reference does is published", async (t) => {
  const { published, refused, log } = await outcome(encodeProgram);
  t.strictSame({ published, refused }, { published: 1, refused: 0 }, log.join("\n"));
  t.match(log[0], /^info: program 1: .*held against the reference with \d+ packets and \d+ keys$/);
});

t.test("a program that does not is refused, and the log says by what", async (t) => {
  const { published, refused, log } = await outcome((arena, source) => {
    const [first, second, ...others] = source.shapes as [
      ProgramSource["shapes"][number],
      ProgramSource["shapes"][number],
      ...ProgramSource["shapes"],
    ];
    const shapes = [{ ...first, number: second.number }, { ...second, number: first.number }, ...others];
    return encodeProgram(arena, { ...source, shapes });
  });
  t.strictSame({ published, refused }, { published: 0, refused: 1 });
  t.match(log[0], /^warn: program refused, .*validation seed \d+.*\noutputs differs: /);
  t.match(log[0], /\n {2}packet on port \d+: [0-9a-f]+/);
  t.match(log[0], /\n {2}flow: .*, actions:/);
  t.match(log[0], /\n {2}masks: 1 /);
});

t.test("a switch that stops does not wait for a validation", async (t) => {
  const { arena } = subject();
  const log: string[] = [];
  const programs = new Programs({
    arena,
    vlanLimit: 1,
    debugLedger: false,
    validator: new ValidatorThread(arena),
    publish: () => t.fail("published after the end"),
    log: (_level, message) => log.push(message),
  });
  programs.start();
  await new Promise((resolve) => setImmediate(resolve));
  await programs.stop();
  t.strictSame(log, []);
});
