// Translation validation: programs as they are compiled pass, and each of PLANTS is refused, whatever the seed.
import t from "tap";
import { encodeProgram } from "../../src/compile/program-module.ts";
import { formatDifference } from "../../src/compile/validate/difference.ts";
import { validateProgram } from "../../src/compile/validate/validator.ts";
import { SEED } from "../support/seed.ts";
import { PLANTS } from "./plants.ts";
import { FLOWS, subject } from "./validation-rig.ts";

for (const flows of [[], FLOWS.slice(0, 1), FLOWS]) {
  t.test(`the program of ${flows.length} flows passes`, async (t) => {
    const { arena, source, sizes, hashSeed } = subject(flows);
    const module = new WebAssembly.Module(encodeProgram(arena, source));
    const verdict = validateProgram({ module, source, sizes, hashSeed, seed: SEED });
    const { difference, ...counts } = verdict;
    t.comment(JSON.stringify(counts));
    t.same(difference === null ? [] : formatDifference(difference), []);
    t.equal(counts.scarceShapeCount, 0, "every action shape met packets");
  });
}

t.test("miscompilations are refused", async (t) => {
  const { arena, source, sizes, hashSeed } = subject();
  for (const { name, plant } of PLANTS) {
    const module = await WebAssembly.compile((await plant(arena, source)) as Uint8Array<ArrayBuffer>);
    const { difference } = validateProgram({ module, source, sizes, hashSeed, seed: SEED });
    const [first, ...rest] = difference === null ? [] : formatDifference(difference);
    t.ok(first !== undefined, `${name}: ${first?.slice(0, 100)}`, {
      rest: rest.map((line) => line.slice(0, 400)),
    });
  }
});
