// What a test run leaves when it is ended by a signal: nothing.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import t from "tap";
import { labUnavailable } from "../support/netns.ts";

const RIG = new URL("./switch-rig.js", import.meta.url);
const PROGRAM = `
  import { SwitchRig } from ${JSON.stringify(RIG)};
  const rig = new SwitchRig({ teardown() {} });
  rig.addHost("tap");
  await rig.start();
  const { pid } = await rig.callJson("millrace/workers-show");
  console.log(JSON.stringify({ socket: rig.socket, namespace: rig.namespace, pid }));
  setInterval(() => {}, 1000);
`;

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  t.test(`${signal} of a test with a daemon`, { skip: labUnavailable() ?? false }, async (t) => {
    const child = spawn(process.execPath, ["--input-type=module", "-e", PROGRAM], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    t.teardown(() => child.kill("SIGTERM"));
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const { socket, namespace, pid } = JSON.parse(String(line)) as Record<string, string>;
    t.ok(existsSync(socket!));
    child.kill(signal);
    t.same(await once(child, "exit"), [null, signal]);
    t.notOk(existsSync(dirname(socket!)), "the folder is gone");
    t.notOk(existsSync(`/var/run/netns/${namespace}`), "the namespace is gone");
    const isGone = (): boolean => !existsSync(`/proc/${pid}`);
    while (!isGone()) await new Promise((resolve) => setTimeout(resolve, 10));
    t.pass("the daemon is gone");
  });
}
