// How V8 compiles programs: optimised at once, on the thread that asks. By default V8 makes baseline code first and
// optimises what turns out hot, in the background of whichever worker runs it: a new program would be slow at first, and
// the work would land on the worker's processor.
import { setFlagsFromString } from "node:v8";

/** Call it in the main thread before the first module is compiled; a worker's own flags are refused. */
export function compileOptimized(): void {
  setFlagsFromString("--no-liftoff");
  setFlagsFromString("--no-wasm-lazy-compilation");
}
