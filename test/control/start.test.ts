// What a daemon prints at its start: the map of its memory, which `config check` shows of the same file.
import { join } from "node:path";
import t from "tap";
import { Daemon } from "../support/daemon.ts";

const CONFIG =
  "memory: { frames: 4096, flows: 5000, kernel-ring-bytes: 1048576 }\nports: [{ name: d, type: dummy }]\n";

t.test("the plan of the memory is printed at start", async (t) => {
  const daemon = await Daemon.start(t, CONFIG);
  const file = join(daemon.folder, "millrace.yaml");
  const { out, code } = daemon.millrace("config", "check", file);
  t.equal(code, 0);
  const [ok, ...plan] = out.split("\n");
  t.equal(ok, `${file}: ok`);
  t.match(plan[0], /^arena: \d+ bytes$/);
  t.match(plan.join("\n"), /^ {2}frames +8388608 bytes at [0-9a-f]{8} /m);
  daemon.kill("SIGTERM");
  t.equal(await daemon.ended, 0);
  t.equal(daemon.output, plan.join("\n"));
});

t.test("a file whose ports keep too many frames is refused by check and by run alike", async (t) => {
  const daemon = await Daemon.start(t, CONFIG);
  const file = daemon.file("many.yaml", "memory: { frames: 2048 }\nports: [{ name: a, type: afxdp }]\n");
  for (const words of [
    ["config", "check", file],
    ["run", "--config", file],
  ]) {
    const { err, code } = daemon.millrace(...words);
    t.not(code, 0);
    t.match(err, /many\.yaml:1:19: memory\.frames: .* keep 4096 and the threads 1728; raise it to 5824/);
  }
});
