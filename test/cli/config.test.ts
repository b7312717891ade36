// `millrace config check` as a program: what it prints about memory, and its exit codes.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import t from "tap";
import { EXIT } from "../../src/cli/exit-code.ts";
import { CLI, type ProgramAnswer, runProgram } from "../support/daemon.ts";

const DOCUMENT = resolve(import.meta.dirname, "../../../docs/configuration.md");
const FRAME_BYTES = 2048;
const MEBIBYTE = 1 << 20;

const folder = mkdtempSync(join(tmpdir(), `millrace-config-${process.pid}-`));
t.teardown(() => rmSync(folder, { recursive: true }));

function check(text: string, ...options: string[]): ProgramAnswer {
  const path = join(folder, "millrace.yaml");
  writeFileSync(path, text);
  return runProgram(process.execPath, CLI, "config", "check", path, ...options);
}

/** Bytes of the arena, and of each region with its place. */
function plan({ out }: ProgramAnswer): {
  total: number;
  regions: { name: string; bytes: number; offset: number }[];
} {
  const rows = out.matchAll(/^ {2}(\w+) +(\d+) bytes at ([0-9a-f]+) {2}written by \w+$/gm);
  return {
    total: Number(/^arena: (\d+) bytes$/m.exec(out)![1]),
    regions: Array.from(rows, ([, name, bytes, offset]) => ({
      name: name!,
      bytes: Number(bytes),
      offset: Number.parseInt(offset!, 16),
    })),
  };
}

t.test("the memory that a configuration takes", (t) => {
  const answer = check("ports: []\n");
  t.equal(answer.code, EXIT.ok, answer.err);
  t.match(answer.out, /millrace\.yaml: ok\narena: /);
  const small = plan(answer);
  let end = 0;
  for (const { name, bytes, offset } of small.regions) {
    t.ok(offset >= end, `${name} begins behind the region before it`);
    end = offset + bytes;
  }
  t.ok(end <= small.total && small.total - end < 2 * MEBIBYTE, "the sum is the last region's end");
  t.equal(
    small.regions.find(({ name }) => name === "frames")!.bytes,
    32768 * FRAME_BYTES,
    "the documented default",
  );
  const large = plan(check("memory: { frames: 65536 }\n"));
  const grown = large.total - small.total;
  t.ok(
    grown >= 32768 * FRAME_BYTES && grown < 32768 * FRAME_BYTES * 1.25,
    `${grown} bytes for 32768 frames more`,
  );
  t.end();
});

t.test("the configuration with its defaults, as data", (t) => {
  const { out, code } = check("ports:\n  - { name: d1, type: dummy }\n", "--json");
  t.equal(code, EXIT.ok);
  t.match(JSON.parse(out), { memory: { frames: 32768 }, policy: { type: "learn" }, ports: [{ name: "d1" }] });
  t.end();
});

t.test("the document's example", (t) => {
  const example = readFileSync(DOCUMENT, "utf8").split("```yaml\n")[1]!.split("```")[0]!;
  t.match(check(example), { code: EXIT.ok, err: "" });
  t.end();
});

t.test("what is wrong is said, with an exit code of its own", (t) => {
  const cases: [text: string, problem: RegExp][] = [
    ["ports: []\nwrong: 1\n", /millrace\.yaml:2:.*wrong/],
    ["memory:\n  frames: many\n", /millrace\.yaml:2:/],
    ["ports: [\n", /millrace\.yaml:\d+:/],
    ["memory: { frames: 4000000 }\n", /4 GiB.*lower memory\.frames/],
  ];
  for (const [text, problem] of cases) {
    const { code, out, err } = check(text);
    t.equal(code, EXIT.badData, text);
    t.match(err, problem);
    t.equal(out, "");
  }
  const missing = runProgram(process.execPath, CLI, "config", "check", join(folder, "none.yaml"));
  t.match(missing, { code: EXIT.failed, err: /none\.yaml: .*ENOENT/ });
  t.match(runProgram(process.execPath, CLI, "config", "check"), {
    code: EXIT.usage,
    err: /missing required argument/,
  });
  t.end();
});
