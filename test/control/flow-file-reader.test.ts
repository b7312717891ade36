// Flow files in slices: the same entries and line numbers as from the whole text, as often as they are read, wherever the
// slices end; pipes too.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { type FlowFileEntry, parseFlowFile } from "../../src/control/flow-file.ts";
import { FlowFileReader } from "../../src/control/flow-file-reader.ts";
import { SeededRandom } from "../support/random.ts";
import { SEED } from "../support/seed.ts";

const NO_PORTS = { numbers: new Map<string, number>(), names: new Map<number, string>() };
const SLICE_BYTES = 1 << 15;
const folder = mkdtempSync(join(tmpdir(), `millrace-flow-file-${process.pid}-`));
t.teardown(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

async function readAll(
  reader: FlowFileReader,
): Promise<{ entries: FlowFileEntry[]; slices: number; end: number }> {
  const entries: FlowFileEntry[] = [];
  let slices = 0;
  let end = 0;
  for await (const slice of reader.slices(NO_PORTS, 1, "add")) {
    entries.push(...slice.entries);
    slices += 1;
    end = slice.endBytes;
  }
  return { entries, slices, end };
}

const flow = (n: number): string => `in_port(${n + 1}),eth(),eth_type(0x0801) 2`;

/** Flows, comments of all lengths, blank lines and both line ends. */
function manyLines(): string {
  const random = new SeededRandom(SEED);
  const lines = Array.from({ length: 3000 }, (_, n) => {
    if (n % 7 === 0) return `# ${"ü".repeat(random.below(200))}`;
    return n % 11 === 0 ? "" : flow(n % 1000);
  });
  return lines.map((line, n) => `${line}${n % 5 === 0 ? "\r" : ""}\n`).join("");
}

t.test("slices make the whole, twice", async (t) => {
  for (const text of ["", "\n", flow(1), `${flow(1)}\n`, manyLines(), manyLines().trimEnd()]) {
    const path = file("flows", text);
    const expected = parseFlowFile(text, path, NO_PORTS, 1);
    const reader = await FlowFileReader.open(path);
    const bytes = Buffer.byteLength(text);
    for (let pass = 0; pass < 2; pass += 1) {
      const { entries, slices, end } = await readAll(reader);
      t.same(entries, expected);
      t.ok(slices >= Math.floor(bytes / SLICE_BYTES), `${slices} slices of ${bytes} bytes`);
      t.equal(end, bytes);
      t.equal(reader.sizeBytes, bytes);
    }
    await reader.close();
  }
});

t.test("a bad line far behind is named by its number", async (t) => {
  const text = `${manyLines()}in_port(1),eth(),eth_type(0x0801)\n`;
  const reader = await FlowFileReader.open(file("bad", text));
  await t.rejects(readAll(reader), {
    name: "FlowFileError",
    message: /bad:3001:34: expected a blank and actions/,
  });
  await reader.close();
});

t.test("a line that never ends is refused", async (t) => {
  const reader = await FlowFileReader.open(file("endless", `${flow(1)}\n${"x".repeat(3 << 20)}`));
  await t.rejects(readAll(reader), { message: /endless:2:1: a line of at most 1048576 bytes is expected/ });
  await reader.close();
});

t.test("a pipe is read twice too", async (t) => {
  const path = join(folder, "pipe");
  t.equal(spawnSync("mkfifo", [path]).status, 0);
  const text = manyLines();
  const opening = FlowFileReader.open(path);
  const writer = await open(path, "w");
  await writer.writeFile(text);
  await writer.close();
  const reader = await opening;
  const expected = parseFlowFile(text, path, NO_PORTS, 1);
  t.same((await readAll(reader)).entries, expected);
  t.same((await readAll(reader)).entries, expected);
  await reader.close();
});
