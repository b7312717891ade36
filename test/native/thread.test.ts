// Threads: ids, names and CPUs of the calling thread; the addon in several workers at once; capabilities that
// go in every thread of a process, workers and V8's own included.
import { spawnSync } from "node:child_process";
import { Worker } from "node:worker_threads";
import t from "tap";
import { native, nativeUnavailable } from "../../src/native.ts";

const skip = nativeUnavailable() ?? false;
const NATIVE_URL = new URL("../../src/native.js", import.meta.url).href;

t.test("affinity is set and read back, of the calling thread alone", { skip }, async (t) => {
  const addon = native();
  const all = addon.threadAffinity();
  t.ok(all.length > 0, `this thread may run on ${all.join(",")}`);
  const body = `
    const { parentPort, workerData } = require("node:worker_threads");
    import(${JSON.stringify(NATIVE_URL)}).then(({ native }) => {
      const addon = native();
      addon.threadSetName("mr-test");
      addon.threadSetAffinity([workerData]);
      const id = addon.threadId();
      const comm = require("node:fs").readFileSync("/proc/self/task/" + id + "/comm", "utf8").trim();
      parentPort.postMessage({ id, comm, cpus: addon.threadAffinity() });
    });`;
  const answers = await Promise.all(
    all.map(
      (cpu) =>
        new Promise<{ id: number; comm: string; cpus: number[] }>((resolve, reject) => {
          new Worker(body, { eval: true, workerData: cpu }).once("message", resolve).once("error", reject);
        }),
    ),
  );
  t.strictSame(
    answers.map(({ cpus }) => cpus),
    all.map((cpu) => [cpu]),
    "each worker has its CPU",
  );
  t.equal(new Set(answers.map(({ id }) => id)).size, all.length, "each worker is a thread of its own");
  t.ok(
    answers.every(({ comm }) => comm === "mr-test"),
    "and has its name",
  );
  t.strictSame(addon.threadAffinity(), all, "the main thread is where it was");
  t.equal(addon.threadId(), process.pid, "the main thread's id is the process's");
  addon.threadSetAffinity([all[0]!], process.pid);
  t.strictSame(addon.threadAffinity(), [all[0]], "a thread is pinned by its number too");
  addon.threadSetAffinity(all);
  t.throws(() => addon.threadSetAffinity(all, 1), { code: "ESRCH" }, "but none of another process");
  t.throws(() => addon.threadSetAffinity([]), { code: "EINVAL", syscall: "sched_setaffinity" });
  t.throws(() => addon.threadSetName("much-too-long-a-name"), { code: "ERANGE" });
});

const rootSkip = skip || (process.getuid?.() === 0 ? false : "dropping capabilities needs root");

/** What the child prints after the drop. */
interface DropReport {
  readonly threads: number;
  readonly seen: { readonly comm: string; readonly lines: string[] }[];
  readonly later: string[];
  readonly socket: string;
  readonly refused: string;
  readonly alive: number;
}

t.test("capabilities are dropped in every thread of a process", { skip: rootSkip }, (t) => {
  const script = `
    import { readdirSync, readFileSync } from "node:fs";
    import { Worker } from "node:worker_threads";
    import { lookup } from "node:dns";
    import { promisify } from "node:util";
    const { native, CAPABILITY } = await import(${JSON.stringify(NATIVE_URL)});
    const addon = native();
    const shared = new Int32Array(new SharedArrayBuffer(8));
    const busy = "const { workerData: s } = require('node:worker_threads');" +
      "Atomics.add(s, 0, 1); while (Atomics.load(s, 1) === 0); Atomics.add(s, 0, 1);";
    const idle = "const { workerData: s } = require('node:worker_threads');" +
      "Atomics.add(s, 0, 1); Atomics.wait(s, 1, 0); Atomics.add(s, 0, 1);";
    const start = (body) => new Worker(body, { eval: true, execArgv: [], workerData: shared });
    const workers = [busy, idle, idle].map(start);
    await promisify(lookup)("localhost");
    while (Atomics.load(shared, 0) < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    const status = (id) => readFileSync("/proc/self/task/" + id + "/status", "utf8").split("\\n")
      .filter((line) => /^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs)/.test(line));
    const threads = addon.privilegeDrop(Object.values(CAPABILITY));
    const seen = readdirSync("/proc/self/task").map((id) => ({
      comm: readFileSync("/proc/self/task/" + id + "/comm", "utf8").trim(), lines: status(id) }));
    const later = await new Promise((resolve) => new Worker(
      "const { parentPort } = require('node:worker_threads'); const fs = require('node:fs');" +
      "parentPort.postMessage(fs.readFileSync('/proc/thread-self/status', 'utf8'))",
      { eval: true, execArgv: [] })
      .once("message", (text) => resolve(text.split("\\n").filter((line) => /^(CapPrm|CapBnd)/.test(line)))));
    let refused = "nothing";
    try { process.setgid(1); } catch (error) { refused = error.code; }
    const fd = addon.packetOpen(0, false, false);
    addon.fdClose(fd);
    Atomics.store(shared, 1, 1);
    Atomics.notify(shared, 1);
    await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once("exit", resolve))));
    console.log(JSON.stringify({ threads, seen, later, socket: "made", refused, alive: shared[0] }));`;
  const child = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  t.equal(child.status, 0, child.stderr);
  const report = JSON.parse(child.stdout) as DropReport;
  // NET_ADMIN, NET_RAW, IPC_LOCK and BPF: bits 12, 13, 14 and 39.
  const kept = "0000008000007000";
  t.ok(report.seen.length >= 3 + 4 + 4, `threads: ${report.seen.map(({ comm }) => comm).join(" ")}`);
  t.equal(report.threads, report.seen.length, "the count is the kernel's");
  for (const { comm, lines } of report.seen) {
    const values = Object.fromEntries(lines.map((line) => line.split(":\t") as [string, string]));
    t.strictSame(
      [
        values["CapPrm"],
        values["CapEff"],
        values["CapBnd"],
        values["CapInh"],
        values["CapAmb"],
        values["NoNewPrivs"],
      ],
      [kept, kept, kept, "0000000000000000", "0000000000000000", "1"],
      comm,
    );
  }
  t.ok(
    report.later.every((line) => line.endsWith(kept)),
    "a worker made later has no more",
  );
  t.equal(report.refused, "EPERM", "what was given up is refused");
  t.equal(report.alive, 6, "busy and sleeping workers went on undisturbed");
  t.end();
});

t.test("the drop can be repeated and keeps shrinking", { skip: rootSkip }, (t) => {
  const script = `
    import { readFileSync } from "node:fs";
    const { native, CAPABILITY } = await import(${JSON.stringify(NATIVE_URL)});
    native().privilegeDrop(Object.values(CAPABILITY));
    native().privilegeDrop([CAPABILITY.NET_RAW, 21]);
    console.log(/CapEff:\\t(\\w+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]);`;
  const child = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  t.equal(child.stdout.trim(), "0000000000002000", child.stderr);
  t.end();
});
