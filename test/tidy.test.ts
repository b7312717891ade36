// The repository's own rules, checked on its sources: rooms import downwards only, files and functions stay short,
// nothing unfinished or private is left in, only one file loads the addon.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import t from "tap";
import ts from "typescript";

const root = resolve(import.meta.dirname, "../..");
const FILE_LINES_MAX = 350;
const FUNCTION_LINES_MAX = 70;

/** From the ground up; a room imports itself and rooms before it. */
const ROOMS = [
  "packet",
  "flow",
  "memory",
  "ring",
  "table",
  "action",
  "netlink",
  "tunnel",
  "datapath",
  "compile",
  "compile",
  "port",
  "pmd",
  "upcall",
  "bridge",
  "control",
  "perf",
  "cli",
] as const;

/** Rooms that may import src/native.ts. */
const NATIVE_USERS: readonly string[] = ["port", "pmd", "control", "cli"];

const tracked = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((file) => file !== "");
const sources = tracked.filter((file) => /^(src|workers|scripts|examples|test)\/.*\.ts$/.test(file));

const parse = (file: string): ts.SourceFile =>
  ts.createSourceFile(file, readFileSync(join(root, file), "utf8"), ts.ScriptTarget.ES2023, true);

function importsOf(source: ts.SourceFile): string[] {
  return source.statements.flatMap((statement) => {
    if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) return [];
    const specifier = statement.moduleSpecifier;
    return specifier !== undefined && ts.isStringLiteral(specifier) ? [specifier.text] : [];
  });
}

const roomOf = (file: string): string | undefined => /^src\/([^/]+)\//.exec(file)?.[1];

t.test("rooms import downwards only", async (t) => {
  const wrong: string[] = [];
  for (const file of sources.filter((name) => name.startsWith("src/"))) {
    const room = roomOf(file);
    for (const specifier of importsOf(parse(file)).filter((text) => text.startsWith("."))) {
      const target = relative(root, resolve(root, dirname(file), specifier));
      const targetRoom = roomOf(target);
      if (target === "src/native.ts" && room !== undefined && !NATIVE_USERS.includes(room))
        wrong.push(`${file} -> ${target}`);
      if (!target.startsWith("src/")) wrong.push(`${file} -> ${target}`);
      if (room === undefined || targetRoom === undefined) continue;
      const order = ROOMS as readonly string[];
      if (order.indexOf(targetRoom) > order.indexOf(room)) wrong.push(`${file} -> ${target}`);
    }
    if (room !== undefined)
      t.ok((ROOMS as readonly string[]).includes(room), `${file} is in a room of the house`);
  }
  t.same(wrong, []);
});

t.test("files and functions stay short", async (t) => {
  const long: string[] = [];
  for (const file of sources) {
    const source = parse(file);
    const lines = source.getLineAndCharacterOfPosition(source.end).line + 1;
    if (!file.startsWith("test/") && lines > FILE_LINES_MAX) long.push(`${file}: ${lines} lines`);
    if (!file.startsWith("test/"))
      visitFunctions(source, source, (name, count) => long.push(`${file}: ${name} has ${count} lines`));
  }
  t.same(long, []);
});

function visitFunctions(
  source: ts.SourceFile,
  node: ts.Node,
  tooLong: (name: string, lines: number) => void,
): void {
  if (ts.isFunctionLike(node) && "body" in node && node.body !== undefined) {
    const line = (position: number): number => source.getLineAndCharacterOfPosition(position).line;
    const lines = line(node.end) - line(node.getStart(source)) + 1;
    if (lines > FUNCTION_LINES_MAX) tooLong(node.name?.getText(source) ?? "a function", lines);
  }
  ts.forEachChild(node, (child) => visitFunctions(source, child, tooLong));
}

t.test("nothing unfinished, forced or private is left in", async (t) => {
  // Put together from parts, so that this file does not name what it looks for.
  const marks = [
    "TO" + "DO",
    "FIX" + "ME",
    "XX" + "X",
    "HA" + "CK",
    "@ts-" + "ignore",
    "biome-" + "ignore",
    "as a" + "ny",
  ];
  const found: string[] = [];
  for (const file of tracked.filter(
    (name) => /\.(ts|cc|h|sh|md|json|yaml)$/.test(name) && name !== "package-lock.json",
  )) {
    const text = readFileSync(join(root, file), "utf8");
    for (const mark of marks) if (new RegExp(`\\b${mark}\\b`).test(text)) found.push(`${file}: ${mark}`);
    if (text.includes(`${root}/`)) found.push(`${file}: a path of this machine`);
  }
  t.same(found, []);
});

t.test("the lock file carries no registry addresses", async (t) => {
  t.notMatch(readFileSync(join(root, "package-lock.json"), "utf8"), /"resolved": "http/);
});
