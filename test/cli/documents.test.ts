// What the documents tell the reader to type: it runs, or at least exists with these options.
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import t from "tap";
import { buildFrame } from "../../src/packet/builder.ts";
import { ethernet } from "../../src/packet/builder-link.ts";
import { ipv4 } from "../../src/packet/builder-network.ts";
import { udp } from "../../src/packet/builder-transport.ts";
import { PcapWriter } from "../../src/packet/pcap-writer.ts";
import { CLI, runProgram } from "../support/daemon.ts";

const ROOT = resolve(import.meta.dirname, "../../..");
const read = (file: string): string => readFileSync(join(ROOT, file), "utf8");
const DOCUMENTS = [
  "README.md",
  "ARCHITECTURE.md",
  ...readdirSync(join(ROOT, "docs")).map((name) => `docs/${name}`),
];

const folder = mkdtempSync(join(tmpdir(), `millrace-documents-${process.pid}-`));
t.teardown(() => rmSync(folder, { recursive: true }));

t.test("the table of the command line and --help name the same options", (t) => {
  const section = read("docs/commands.md").split("## The control socket")[0]!;
  const rows = Array.from(section.matchAll(/^\| `([^`]+)`(.*?) \| .* \|$/gm), ([, usage, behind]) => ({
    usage: usage!,
    behind: behind!,
  }));
  const documented = new Set<string>();
  const optionsOf = (text: string): Set<string> => new Set(text.match(/--[a-z][a-z-]+/g) ?? []);
  // "the same options" are those of the row before; progress has a paragraph of its own for all commands.
  let before = new Set<string>();
  for (const { usage, behind } of rows) {
    const words = /^[a-z|\\]+( (check|show)\b)?/.exec(usage)![0].replaceAll("\\", "").split(" ");
    for (const name of words[0]!.split("|")) {
      documented.add(name);
      const command = [name, ...words.slice(1)];
      const { out, code } = runProgram(process.execPath, CLI, ...command, "--help");
      t.equal(code, 0, command.join(" "));
      const options = behind.includes("the same options") ? before : optionsOf(usage);
      const offered = optionsOf(
        out
          .split("Options:")[1]!
          .split("Commands:")[0]!
          .replace(/^(\s+\S+ \S*).*$/gm, "$1"),
      );
      for (const own of ["--help", "--progress", "--no-progress"]) offered.delete(own);
      t.same([...options].sort(), [...offered].sort(), command.join(" "));
      before = options;
    }
  }
  const { out } = runProgram(process.execPath, CLI, "--help");
  const commands = Array.from(out.split("Commands:")[1]!.matchAll(/^ {2}([a-z]+)/gm), ([, name]) => name!);
  t.same([...documented].sort(), commands.filter((name) => name !== "help").sort());
  t.end();
});

t.test("benchmarks and scripts that documents name exist, with these options", (t) => {
  let found = 0;
  for (const document of DOCUMENTS) {
    for (const [, script, rest] of read(document).matchAll(
      /node (?:--[a-z-]+ )?build\/(scripts\/[\w-]+)\.js([^`\n|]*)/g,
    )) {
      found += 1;
      t.ok(existsSync(join(ROOT, `${script}.ts`)), `${document}: ${script}`);
      const source = read(`${script}.ts`);
      for (const option of rest!.match(/--[a-z-]+/g) ?? [])
        t.ok(source.includes(option.slice(2)), `${document}: ${script} ${option}`);
    }
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    for (const [, name] of read(document).matchAll(/npm (?:run )?(start|test|bench|lint|build)\b/g)) {
      found += 1;
      t.ok(scripts[name!], `${document}: npm ${name}`);
    }
  }
  t.ok(found > 10, `${found} commands`);
  t.end();
});

t.test("every file that a document links to is there", (t) => {
  for (const document of DOCUMENTS) {
    for (const [, link] of read(document).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g))
      t.ok(existsSync(join(ROOT, document, "..", link!)), `${document}: ${link}`);
  }
  t.end();
});

t.test("the README's offline lines", (t) => {
  const chunks: Uint8Array[] = [];
  const writer = new PcapWriter((bytes) => chunks.push(bytes.slice()));
  for (let n = 0; n < 100; n += 1) {
    const frame = buildFrame([
      ethernet(),
      ipv4({ src: "10.0.0.1", dst: "10.0.0.2" }),
      udp({ src: 1000 + n, dst: 53 }),
    ]);
    writer.write(0, n, 0, frame.length, frame, 0, frame.length);
  }
  writer.flush();
  for (const name of ["FILE.pcap", "a.pcap"]) writeFileSync(join(folder, name), Buffer.concat(chunks));
  writeFileSync(
    join(folder, "keys.txt"),
    "in_port(1),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x1234)\n",
  );
  writeFileSync(join(folder, "FLOWS"), "in_port(1),eth(),eth_type(0x0800) 2\n");
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  const block = read("README.md").split("## Offline\n")[1]!.split("```\n")[1]!;
  const lines = block
    .trimEnd()
    .split("\n")
    .map((line) => line.split(/ {3,}/)[0]!);
  t.equal(lines.length, 5);
  const outputs = [
    /^eth\(.*udp\(src=1000,dst=53\)\n/,
    /in_port\(1\),.*eth\(src=02:00/,
    /^packets: 100\n/,
    /^[\d.]+ ns a packet/,
    /^flows: 1\nmasks: 1\n/,
  ];
  for (const [index, line] of lines.entries()) {
    const { status, stdout, stderr } = spawnSync("sh", ["-c", line], { cwd: folder, encoding: "utf8" });
    t.equal(status, 0, `${line}: ${stderr}`);
    t.match(stdout, outputs[index], line);
  }
  t.ok(existsSync(join(folder, "b.pcap")));
  t.end();
});
