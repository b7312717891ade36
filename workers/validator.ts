// Thread entry of a validation: one program, one verdict. Started by src/control/validator-thread.ts.
import { setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { type ValidationInput, validateProgram } from "../src/compile/validate/validator.ts";
import { native, nativeUnavailable } from "../src/native.ts";

/** Behind all threads that packets or commands wait for. */
const VALIDATOR_NICENESS = 10;

if (parentPort === null) throw new Error("a validation runs as a worker thread of the daemon");
if (nativeUnavailable() === undefined) {
  native().threadSetName("validator");
  setPriority(0, VALIDATOR_NICENESS);
}
parentPort.postMessage(validateProgram(workerData as ValidationInput));
