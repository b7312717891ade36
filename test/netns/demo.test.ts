// What `npm start` runs: every step works, and nothing is left behind, at the end, on Ctrl-C, and after --keep.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import t, { type Test } from "tap";
import { LiveTable } from "../../scripts/live-table.ts";
import { callUnixctl } from "../../src/control/unixctl/client.ts";
import { labUnavailable } from "../support/netns.ts";

const SCRIPTS = resolve(import.meta.dirname, "../../scripts");

class Demo {
  readonly #folder = mkdtempSync(join(tmpdir(), `millrace-demo-test-${process.pid}-`));
  readonly #process: ChildProcess;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  output = "";

  constructor(t: Test, ...args: readonly string[]) {
    this.#process = spawn(process.execPath, args, {
      env: { ...process.env, TMPDIR: this.#folder },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#process.stdout, this.#process.stderr])
      stream?.on("data", (chunk: Buffer) => (this.output += chunk));
    this.ended = new Promise((done) => this.#process.once("close", (code, signal) => done({ code, signal })));
    t.teardown(async () => {
      // SIGTERM: the demo removes what it made.
      this.#process.kill("SIGTERM");
      await this.ended;
      rmSync(this.#folder, { recursive: true });
    });
  }

  /** Waits until it has printed this. @throws Error when it ends before */
  async prints(text: string): Promise<void> {
    while (!this.output.includes(text)) {
      const more = await Promise.race([
        this.ended.then(() => false),
        new Promise<boolean>((resume) => setTimeout(() => resume(true), 20)),
      ]);
      if (!more && !this.output.includes(text)) throw new Error(`ended without "${text}":\n${this.output}`);
    }
  }

  interrupt(): void {
    this.#process.kill("SIGINT");
  }

  /** Files of its temporary folders. */
  files(): string[] {
    return readdirSync(this.#folder, { recursive: true }) as string[];
  }

  /** Namespaces, files and processes that should be gone. */
  leftovers(): string[] {
    const namespaces = execFileSync("ip", ["netns", "list"], { encoding: "utf8" })
      .split("\n")
      .filter((line) => new RegExp(`^mr${this.#process.pid}[a-z]`).test(line));
    const processes = readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => commandLine(pid))
      .filter((line) => line.includes(this.#folder));
    return [...namespaces, ...this.files(), ...processes];
  }
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Gone since the folder was listed.
    if (code === "ENOENT" || code === "ESRCH") return "";
    throw error;
  }
}

const skip = labUnavailable() ?? false;
const DEMO = join(SCRIPTS, "demo.js");

t.test("between namespaces, to the end", { skip }, async (t) => {
  const demo = new Demo(t, DEMO);
  t.same(await demo.ended, { code: 0, signal: null }, demo.output);
  t.match(demo.output, "3 received, 0% packet loss");
  t.match(demo.output, /port +received +transmitted\n(.*\d+ +\d+\n){2}/);
  t.match(demo.output, /worker +state +busy % +hits +upcalls\n +0 +running +\d+ +\d+ +\d+\n/);
  t.match(demo.output, /after 5 s: \d+ flows, \d+ drops\n/);
  t.same(demo.leftovers(), []);
});

t.test("between namespaces, interrupted", { skip }, async (t) => {
  const demo = new Demo(t, DEMO);
  await demo.prints("TCP across");
  t.notSame(demo.leftovers(), [], "there is something to be removed");
  demo.interrupt();
  t.same(await demo.ended, { code: null, signal: "SIGINT" });
  t.same(demo.leftovers(), []);
});

t.test("between namespaces, kept until it is interrupted", { skip }, async (t) => {
  const demo = new Demo(t, DEMO, "--keep");
  await demo.prints("Running; Ctrl-C stops it");
  const socket = /ports show --socket (\S+)/.exec(demo.output)![1]!;
  t.match(await callUnixctl(socket, "dpctl/dump-flows", []), /packets:/);
  demo.interrupt();
  t.same(await demo.ended, { code: 0, signal: null }, demo.output);
  t.match(demo.output, "Removed: namespaces, interfaces, processes, files.");
  t.same(demo.leftovers(), []);
});

const captureDemo = (keep: boolean): string[] => [
  "--input-type=module",
  "-e",
  `const { runCaptureDemo } = await import(${JSON.stringify(join(SCRIPTS, "demo-capture.js"))}); runCaptureDemo(${keep});`,
];

t.test("over captures", async (t) => {
  const demo = new Demo(t, ...captureDemo(false));
  t.same(await demo.ended, { code: 0, signal: null }, demo.output);
  t.match(demo.output, "packets: 2000");
  t.match(demo.output, /^ +in_port|^ +eth\(/m);
  t.same(demo.files(), []);
});

t.test("over captures, kept", async (t) => {
  const demo = new Demo(t, ...captureDemo(true));
  t.same(await demo.ended, { code: 0, signal: null }, demo.output);
  const out = /^Kept: .* and (.*)$/m.exec(demo.output)![1]!;
  t.ok(existsSync(out), out);
});

t.test("a live table", (t) => {
  for (const [isTTY, expected] of [
    [true, "a\nb\n\x1b[2A\x1b[Jc\n\x1b[1A\x1b[Jd\n"],
    [false, "a\nb\n\nc\n\nd\n\n"],
  ] as const) {
    let written = "";
    const table = new LiveTable({ isTTY, write: (text) => (written += text) });
    for (const lines of [["a", "b"], ["c"], ["d"]]) table.draw(lines);
    t.equal(written, expected);
  }
  t.end();
});
