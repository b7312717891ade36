// Where the threads that are no workers run: beside the workers, never on their CPUs while there are others.
import { readdirSync, readFileSync } from "node:fs";
import t from "tap";
import { parseConfig } from "../../src/control/config/load.ts";
import { controlCpus, placeControlThreads } from "../../src/control/control-cpus.ts";
import { native, nativeUnavailable } from "../../src/native.ts";

const configOf = (text: string) => parseConfig(text, "control-cpus");

t.test("the CPUs that are no worker's, unless the configuration names some", (t) => {
  const allowed = [0, 1, 2, 3];
  t.strictSame(controlCpus(configOf('workers: { cpus: "1-2" }'), allowed), [0, 3]);
  t.strictSame(controlCpus(configOf('workers: { cpus: "1-2" }\ncontrol-cpus: "3"'), allowed), [3]);
  t.equal(
    controlCpus(configOf('workers: { cpus: "0-3" }'), allowed),
    undefined,
    "nothing is left: as it was",
  );
  t.equal(controlCpus(configOf("datapath: netdev@a"), allowed), undefined, "no worker is pinned: as it was");
  t.end();
});

const cpus = nativeUnavailable() === undefined ? native().threadAffinity() : [];
const skip = nativeUnavailable() ?? (cpus.length > 1 ? false : "one CPU is all there is");
t.test("every thread of the process moves", { skip }, (t) => {
  const worker = cpus.at(-1)!;
  placeControlThreads(configOf(`workers: { cpus: "${worker}" }`));
  const allowed = (thread: string): string =>
    /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync(`/proc/self/task/${thread}/status`, "utf8"))![1]!;
  const main = allowed(String(process.pid));
  t.notOk(native().threadAffinity().includes(worker));
  for (const thread of readdirSync("/proc/self/task")) t.equal(allowed(thread), main, `thread ${thread}`);
  native().threadSetAffinity(cpus);
  t.end();
});
