// 64-bit counters that one thread writes: one aligned store, so that readers never see half of one.
import { DROP, type DropReason } from "../../datapath/drop-reason.ts";
import { THREAD } from "../../memory/thread-block.ts";
import type { I32, Statement } from "../ops/expression.ts";
import { i64Memory } from "../ops/memory.ts";
import { i32, i64 } from "../ops/numeric.ts";
import type { EmitScope } from "./scope.ts";

/** Adds an unsigned number to the counter at `address`, which is computed twice. */
export const count = (address: I32, delta: I32, offset = 0): Statement =>
  i64Memory.store(address, i64.add(i64Memory.load(address, offset), i64.extend_i32_u(delta)), offset);

/** Adds to one of the thread's counters. @param counter COUNTER of datapath/counters.ts */
export const addToCounter = ({ thread }: EmitScope, counter: number, delta: I32): Statement =>
  count(thread.threadBlock, delta, THREAD.counters + counter * 8);

/** A packet dropped by the thread. */
export const countDrop = ({ thread }: EmitScope, reason: DropReason): Statement =>
  count(thread.threadBlock, i32.const(1), THREAD.drops + DROP[reason] * 8);
