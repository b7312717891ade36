// Where the threads that are no workers run. A worker polls without end, so a control or handler thread that the kernel
// puts on its CPU takes that CPU away for whole time slices: packets wait in rings meanwhile, and the handler waits as
// long for the worker. OVS keeps its other threads off the PMDs' cores in the same way (dpdk-lcore-mask, "non-PMD").
import { readdirSync } from "node:fs";
import { native, nativeUnavailable } from "../native.ts";
import type { Config } from "./config/schema.ts";

/** The CPUs for all threads but the workers; undefined where the kernel may choose, as nothing is left beside them. */
export function controlCpus(config: Config, allowed: readonly number[]): readonly number[] | undefined {
  if (config["control-cpus"] !== undefined) return config["control-cpus"];
  const workers = config.workers.cpus ?? [];
  if (workers.length === 0) return undefined;
  const left = allowed.filter((cpu) => !workers.includes(cpu));
  return left.length > 0 ? left : undefined;
}

/**
 * Moves every thread there is now; those that are made later come from one of these. Before the workers start.
 * @throws Error of sched_setaffinity(2) where the process may not use one of the CPUs
 */
export function placeControlThreads(config: Config): void {
  if (nativeUnavailable() !== undefined) return;
  const addon = native();
  const cpus = controlCpus(config, addon.threadAffinity());
  if (cpus === undefined) return;
  for (const thread of readdirSync("/proc/self/task")) addon.threadSetAffinity(cpus, Number(thread));
}
