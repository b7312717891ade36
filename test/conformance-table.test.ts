// docs/conformance-table.md has every row of the reference's tables, and names only tests that exist.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { REPOSITORY_ROOT } from "./support/corpora.ts";

const REFERENCE = join(REPOSITORY_ROOT, "..", "shared", "reference", "datapath.md");
const SECTIONS = ["1a", "1b", "1c", "1d", "1e", "1f", "1g", "1h", "2a"] as const;
const TEST = /`([\w/.-]+\.test\.ts)`(?:: (.+?)(?=; `| \|))?/g;
/** Commands begin a line of the list, or stand behind a bar, some spaces, a colon or a comma. */
const COMMAND = /(?:^|\||\s{2}|: |ACTIONS, )\s*([a-z]+(?:-[a-z]+)+|show|help)(?=[\s|,]|$)/gm;

/** Lines of each section, whose heading begins with its number. */
function sectionsOf(text: string): Map<string, string[]> {
  const sections = new Map<string, string[]>();
  let lines: string[] = [];
  for (const line of text.split("\n")) {
    const heading = /^#+ (\d[a-z]?)\b/.exec(line);
    if (heading !== null) {
      lines = [];
      sections.set(heading[1]!, lines);
    } else lines.push(line);
  }
  return sections;
}

/** First cells of a section's table, without its heading. */
function rowNames(lines: readonly string[]): string[] {
  const rows = lines.filter((line) => line.startsWith("|")).map((line) => line.split("|")[1]!.trim());
  return rows.slice(2);
}

const table = readFileSync(join(REPOSITORY_ROOT, "docs", "conformance-table.md"), "utf8");
const ours = sectionsOf(table);

t.test(
  "every row is there",
  { skip: existsSync(REFERENCE) ? false : "no ../shared/reference" },
  async (t) => {
    const theirs = sectionsOf(readFileSync(REFERENCE, "utf8"));
    for (const section of SECTIONS) {
      const lines = theirs.get(section)!;
      const names =
        section === "2a"
          ? [...lines.join("\n").split("```")[1]!.matchAll(COMMAND)].map((match) => match[1]!)
          : rowNames(lines);
      t.ok(names.length > 5, `${section} has ${names.length} rows`);
      t.same(rowNames(ours.get(section) ?? []).sort(), names.sort(), `rows of ${section}`);
    }
  },
);

t.test("every test that is named exists", async (t) => {
  const sources = new Map<string, string>();
  let named = 0;
  for (const line of table.split("\n").filter((text) => /^\| (?!no|row|-)/.test(text))) {
    const tests = [...line.matchAll(TEST)];
    if (line.startsWith("|---")) continue;
    t.ok(tests.length > 0, `a test for: ${line.slice(0, 60)}`);
    for (const [, file, name] of tests) {
      const path = join(REPOSITORY_ROOT, "test", file!);
      if (!sources.has(file!)) sources.set(file!, existsSync(path) ? readFileSync(path, "utf8") : "");
      const source = sources.get(file!)!;
      const isThere = name === undefined ? source !== "" : source.includes(`"${name.trim()}"`);
      if (!isThere) t.fail(`${file}: ${name ?? "no such file"}`);
      named += 1;
    }
  }
  t.ok(named > 100, `${named} tests are named`);
});
