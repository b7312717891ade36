// Thread entry of the handler: upcalls, policy, and the flow table's writer. Started by src/control/handler-link.ts.
import { setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { HandlerLoop } from "../src/control/handler-loop.ts";
import type { HandlerSettings } from "../src/control/handler-protocol.ts";
import { native, nativeUnavailable } from "../src/native.ts";

/** Half way to the least that nice(2) has: ahead of all ordinary threads, behind what the system itself prefers. */
const HANDLER_NICENESS = -10;

if (parentPort === null) throw new Error("the handler runs as a worker thread of the daemon");
if (nativeUnavailable() === undefined) native().threadSetName("handler");
preferHandler();
await new HandlerLoop(workerData as HandlerSettings, parentPort).run();

/** Packets wait for this thread's answers; dumps, sweeps, compilations and collections beside it can wait for it. */
function preferHandler(): void {
  if (process.getuid?.() !== 0) return;
  try {
    setPriority(0, HANDLER_NICENESS);
  } catch (error) {
    process.emitWarning(`the handler keeps the ordinary priority: ${(error as Error).message}`);
  }
}
