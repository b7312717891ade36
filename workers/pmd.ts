// Thread entry of a worker: one poll loop, until its stop word is set. Hosted by piscina; started by pmd/supervisor.ts.
import { type MessagePort, threadId } from "node:worker_threads";
import { Arena, type ArenaHandle } from "../src/memory/arena.ts";
import { THREAD_BLOCK_BYTES } from "../src/memory/region-plan.ts";
import { THREAD } from "../src/memory/thread-block.ts";
import { native, nativeUnavailable } from "../src/native.ts";
import { PmdLoop } from "../src/pmd/loop.ts";
import { Pmd } from "../src/pmd/pmd.ts";
import type { PmdTask, WorkerHello } from "../src/pmd/worker-process.ts";

export default function pmdWorker(task: PmdTask & { readonly port: MessagePort }): void {
  const arena = new Arena(task.handle as ArenaHandle);
  const block = arena.region("threads").offset + task.worker * THREAD_BLOCK_BYTES;
  task.port.postMessage({ type: "hello", threadId } satisfies WorkerHello);
  if (nativeUnavailable() === undefined) {
    native().threadSetName(`pmd${task.worker}`);
    if (task.cpu !== null) native().threadSetAffinity([task.cpu]);
    arena.u32[(block + THREAD.kernelThreadId) >>> 2] = native().threadId();
    arena.u32[(block + THREAD.cpu) >>> 2] = task.cpu === null ? 0 : task.cpu + 1;
  }
  const { vlanLimit, debugLedger } = task.options;
  const pmd = new Pmd(arena, task.worker, { vlanLimit, debugLedger });
  new PmdLoop(arena, pmd, task.port, task.options).run();
}
