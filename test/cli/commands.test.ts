// docs/commands.md lists every command that the daemon has, with its arguments and summary, and no other.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { callUnixctl } from "../../src/control/unixctl/client.ts";

const CLI = resolve(import.meta.dirname, "../../src/cli/millrace.js");
const DOCUMENT = resolve(import.meta.dirname, "../../../docs/commands.md");
const POLLS_MAX = 600;

interface CommandRow {
  readonly name: string;
  readonly usage: string;
  readonly summary: string;
}

/** A bar would end the table's cell. */
const cell = (text: string): string => text.replaceAll("|", "\\|");

t.test("the document and the daemon agree", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-commands-"));
  const socket = join(folder, "ctl");
  const config = join(folder, "millrace.yaml");
  writeFileSync(config, "log: off\nports:\n  - { name: d1, type: dummy }\n");
  const daemon = spawn(process.execPath, [CLI, "run", "--config", config, "--socket", socket], {
    stdio: "ignore",
  });
  t.teardown(() => {
    daemon.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  const ended = new Promise<number | null>((done) => daemon.once("exit", done));
  let commands: CommandRow[] | undefined;
  for (let poll = 0; poll < POLLS_MAX && commands === undefined && daemon.exitCode === null; poll += 1) {
    await sleep(50);
    commands = (await callUnixctl(socket, "list-commands", [], "json").catch(() => undefined)) as
      | CommandRow[]
      | undefined;
  }
  t.ok(commands !== undefined, "the daemon answers");
  const rows = (commands ?? []).map(({ name, usage, summary }) => {
    const form = usage === "" ? name : `${name} ${usage}`;
    return `| \`${cell(form)}\` | ${cell(summary)} |`;
  });
  const section = readFileSync(DOCUMENT, "utf8").split("## The control socket")[1]!;
  t.same(
    section.split("\n").filter((line) => /^\| `/.test(line)),
    rows,
  );

  daemon.kill("SIGTERM");
  t.equal(await ended, 0, "SIGTERM ends it with code 0");
});
