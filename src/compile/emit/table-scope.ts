// What look-up code of a table needs beside the module: where its parts stand and the seeds of its hashes, all constants
// of the code because they do not change while the arena lives.
import { hashSeeds } from "../../table/hash.ts";
import type { I32, Statement } from "../ops/expression.ts";
import type { Local } from "../ops/function.ts";
import { i32 } from "../ops/numeric.ts";
import type { EmitScope } from "./scope.ts";

export class TableScope {
  readonly scope: EmitScope;
  readonly subtables: number;
  readonly buckets: number;
  readonly flows: number;
  readonly flowKeys: number;
  readonly hashStart: number;
  readonly #xor: number;
  readonly #multiplier: number;

  constructor(scope: EmitScope) {
    this.scope = scope;
    this.subtables = scope.region("subtables");
    this.buckets = scope.region("buckets");
    this.flows = scope.region("flows");
    this.flowKeys = scope.region("flowKeys");
    const { start, xor, multiplier } = hashSeeds(scope.arena);
    this.hashStart = start;
    this.#xor = xor;
    this.#multiplier = multiplier;
  }

  /** hashStep of table/hash.ts. */
  hashStep(hash: I32, word: I32): I32 {
    return i32.add(
      i32.rotl(hash, i32.const(9)),
      i32.mul(i32.xor(word, i32.const(this.#xor)), i32.const(this.#multiplier)),
    );
  }

  /** finishHash of table/hash.ts, in place. */
  finishHash(hash: Local<"i32">): Statement {
    const first = i32.mul(i32.xor(hash.get, i32.shr_u(hash.get, i32.const(15))), i32.const(0x2c1b3c6d));
    return hash.set(i32.xor(hash.tee(first), i32.shr_u(hash.get, i32.const(13))));
  }
}
