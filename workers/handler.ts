// Thread entry of the handler: upcalls, policy, and the flow table's writer. Started by src/control/handler-link.ts.
import { parentPort, workerData } from "node:worker_threads";
import { HandlerLoop } from "../src/control/handler-loop.ts";
import type { HandlerSettings } from "../src/control/handler-protocol.ts";
import { native, nativeUnavailable } from "../src/native.ts";

if (parentPort === null) throw new Error("the handler runs as a worker thread of the daemon");
if (nativeUnavailable() === undefined) native().threadSetName("handler");
await new HandlerLoop(workerData as HandlerSettings, parentPort).run();
