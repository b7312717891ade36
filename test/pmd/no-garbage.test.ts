// A worker's loop allocates nothing: once V8 has compiled it, no garbage is collected however long it runs.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import t from "tap";
import { REPOSITORY_ROOT } from "../support/corpora.ts";

const ROUNDS = 16;
/** Rounds in which V8 still compiles, which allocates. */
const WARM_UP_ROUNDS = 8;

t.test("no collection in a warm loop", async (t) => {
  const run = spawnSync(
    process.execPath,
    [
      "--trace-gc",
      join(REPOSITORY_ROOT, "build/scripts/bench-pipeline.js"),
      ...["--flows", "1000", "--rounds", String(ROUNDS), "--seconds", "0.2"],
    ],
    { encoding: "utf8" },
  );
  t.equal(run.status, 0, run.stderr);
  const lines = run.stdout.split("\n");
  const rounds = lines.flatMap((line, index) => (/^\d+ packets/.test(line) ? [index] : []));
  t.equal(rounds.length, ROUNDS);
  const warm = lines.slice(rounds[WARM_UP_ROUNDS - 1], rounds[ROUNDS - 1]);
  t.strictSame(
    warm.filter((line) => /Scavenge|Mark-Compact/.test(line)),
    [],
  );
});
