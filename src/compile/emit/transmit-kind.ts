// What the transmit pass (transmit.ts) and the kinds of port that it knows have in common.
import type { Label } from "../encoder/code.ts";
import type { Statement } from "../ops/expression.ts";
import type { Local } from "../ops/function.ts";

/** A run that is being transmitted. */
export interface RunLocals {
  /** Address of the entry that is next, and the end of the list. */
  readonly at: Local<"i32">;
  readonly end: Local<"i32">;
  readonly portNo: Local<"i32">;
  readonly slot: Local<"i32">;
  readonly route: Local<"i32">;
  readonly packetBytesMax: Local<"i32">;
  /** Of the packet that is next. */
  readonly frame: Local<"i32">;
  readonly record: Local<"i32">;
  readonly packetBytes: Local<"i32">;
  /** Of those that went out in this run. */
  readonly packets: Local<"i32">;
  readonly bytes: Local<"i32">;
}

/** How one kind transmits a run. */
export interface TxKindCode {
  /** Before the first packet. */
  readonly begin: readonly Statement[];
  /** One packet; a branch to `full` leaves it, and what comes behind it, to JavaScript. */
  readonly put: (full: Label) => readonly Statement[];
  /** After the last one. */
  readonly end: readonly Statement[];
}
