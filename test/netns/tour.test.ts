// The README's tour, word for word, as a newcomer types it: in namespaces of its own, with its own /run and /tmp.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { text } from "node:stream/consumers";
import t from "tap";
import { labUnavailable } from "../support/netns.ts";

const ROOT = resolve(import.meta.dirname, "../../..");

/** The lines of a section's first block. */
function block(heading: string): string[] {
  const section = readFileSync(`${ROOT}/README.md`, "utf8").split(`## ${heading}\n`)[1]!;
  return section.split("```\n")[1]!.trimEnd().split("\n");
}

t.test("the tour in ten lines", { skip: labUnavailable() ?? false }, async (t) => {
  const lines = block("A tour in ten lines");
  t.equal(lines.length, 10);
  // A checkout below /tmp would be hidden; then the tour's file is made where it says.
  const ownTmp = ROOT.startsWith("/tmp/") ? [] : ["mount -t tmpfs tmpfs /tmp"];
  const script = [
    "set -e",
    "mount -t tmpfs tmpfs /run",
    ...ownTmp,
    ...lines,
    "wait $!",
    "ip netns list",
    "echo all done",
  ];
  const { MILLRACE_RUNDIR: _, ...env } = process.env;
  const namespaces = ["--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"];
  const tour = spawn("unshare", [...namespaces, "bash", "-c", script.join("\n")], {
    cwd: ROOT,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  t.teardown(() => tour.kill("SIGKILL"));
  const ended = new Promise<number | null>((done) => tour.once("close", done));
  const [out, err, code] = await Promise.all([text(tour.stdout), text(tour.stderr), ended]);
  t.equal(code, 0, err);
  t.match(out, / 3 received, /, "the ping");
  // Flows that ping made may have expired by the time a busy machine gets to dump-flows: its code 0 has to do.
  t.match(out, /^ *\d +v1 +afxdp +up .*\n *\d +v2 +afxdp +up /m, "ports show");
  t.match(out, /\nall done\n$/, "the switch ended with code 0 and no namespace is left");
});
