// 64-bit counters that one thread writes: one aligned store, so that readers never see half of one.
import type { I32, Statement } from "../ops/expression.ts";
import { i64Memory } from "../ops/memory.ts";
import { i64 } from "../ops/numeric.ts";

/** Adds an unsigned number to the counter at `address`, which is computed twice. */
export const count = (address: I32, delta: I32, offset = 0): Statement =>
  i64Memory.store(address, i64.add(i64Memory.load(address, offset), i64.extend_i32_u(delta)), offset);
