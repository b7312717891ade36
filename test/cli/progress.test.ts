// Progress of long commands: on a terminal, drawn over itself and wiped; in a pipe only when asked for; stdout is the same
// with and without.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { buildFrame } from "../../src/packet/builder.ts";
import { ethernet } from "../../src/packet/builder-link.ts";
import { PcapWriter } from "../../src/packet/pcap-writer.ts";
import { CLI, Daemon, runProgram } from "../support/daemon.ts";

const PACKETS = 3000;
const folder = mkdtempSync(join(tmpdir(), `millrace-progress-${process.pid}-`));
t.teardown(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function writeCapture(): string {
  const chunks: Uint8Array[] = [];
  const writer = new PcapWriter((bytes) => chunks.push(bytes.slice()));
  const frame = buildFrame(
    [ethernet({ src: "02:00:00:00:00:01", dst: "02:00:00:00:00:02" })],
    new Uint8Array(50),
  );
  for (let n = 0; n < PACKETS; n += 1) writer.write(0, n, 0, frame.length, frame, 0, frame.length);
  writer.flush();
  return file("frames.pcap", Buffer.concat(chunks));
}

const rx = writeCapture();
const flows = file("flows", "in_port(1),eth() 2\n");
const bench = ["bench", "--rx", rx, "--flows", flows, "--seconds", "0.3", "--json"];
/** What the last line says: everything is done, whatever the speed. */
const COMMANDS: readonly (readonly [args: readonly string[], last: RegExp])[] = [
  [["replay", "--in", `1=${rx}`, "--json"], /^replay: 100 % of 0\.2 MB$/],
  [["extract", rx], /^extract: 100 % of 0\.2 MB$/],
  [bench, /^bench: measuring: 100 % of 0\.3 seconds$/],
];

for (const [args, last] of COMMANDS) {
  t.test(`${args[0]} in a pipe`, async (t) => {
    const quiet = runProgram(process.execPath, CLI, ...args);
    t.equal(quiet.code, 0, quiet.err);
    t.equal(quiet.err, "", "nothing without being asked");
    const { out, err, code } = runProgram(process.execPath, CLI, ...args, "--progress");
    t.equal(code, 0);
    t.match(err.trimEnd().split("\n").at(-1), last);
    if (args !== bench) t.equal(out, quiet.out, "stdout is the same");
    else t.same(Object.keys(JSON.parse(out)), Object.keys(JSON.parse(quiet.out)));
  });
}

const noTerminal =
  spawnSync("script", ["--version"]).status === 0 ? false : "no script(1) to make a terminal";

/** Runs a command with stderr on a terminal and stdout in a file. */
function onTerminal(t: Test, args: readonly string[]): { terminal: string; out: string } {
  const out = join(folder, "stdout");
  const words = [process.execPath, CLI, ...args].map((word) => `'${word}'`).join(" ");
  const { status, stdout } = spawnSync("script", ["-qec", `${words} > '${out}'`, "/dev/null"], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.equal(status, 0, stdout);
  return { terminal: stdout, out: readFileSync(out, "utf8") };
}

t.test("a terminal is drawn on and left clean", { skip: noTerminal }, async (t) => {
  for (const args of [
    ["extract", rx],
    ["replay", "--in", `1=${rx}`, "--json"],
  ]) {
    const { terminal, out } = onTerminal(t, args);
    t.ok(terminal.startsWith(`\r\x1b[K${args[0]}: `), terminal);
    t.match(terminal, /: \d+ % of 0\.2 MB/);
    t.ok(terminal.endsWith("\r\x1b[K"), "the last picture is wiped");
    t.notMatch(terminal, "\n");
    t.equal(out, runProgram(process.execPath, CLI, ...args).out);
    t.equal(onTerminal(t, [...args, "--no-progress"]).terminal, "");
  }
});

t.test("a flow file that the daemon reads", async (t) => {
  const config = "log: off\npolicy: { type: flows }\nworkers: { sleep-micros-max: 1000 }\n";
  const daemon = await Daemon.start(t, config);
  const socket = ["--socket", daemon.socket];
  // A pipe, so that the command takes as long as this test wants.
  const pipe = join(folder, "pipe");
  t.equal(spawnSync("mkfifo", [pipe]).status, 0);
  const adding = spawn(process.execPath, [CLI, "dpctl", "add-flows", pipe, "--progress", ...socket]);
  const ended = once(adding, "close");
  let out = "";
  adding.stdout.on("data", (chunk: Buffer) => (out += chunk));
  const [shown] = (await once(adding.stderr, "data")) as [Buffer];
  t.match(String(shown), /^dpctl\/add-flows: opening: 0\.0 MB\n/);
  const lines = Array.from({ length: 50 }, (_, n) => `in_port(${n + 1}),eth(),eth_type(0x0801) 2\n`);
  await writeFile(pipe, lines.join(""));
  t.same(await ended, [0, null]);
  t.equal(out, "");
  const dumped = daemon.millrace("dpctl", "dump-flows", ...socket);
  t.equal(dumped.err, "", "nothing in a pipe");
  t.equal(dumped.out.split("\n").length, lines.length + 2);
});
