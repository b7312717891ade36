import type { ArenaSizes } from "../../memory/region-plan.ts";
import type { Config } from "./schema.ts";

/** CPUs of the workers: those of the file, or one worker without a CPU of its own. */
export function workerCpus(config: Config): readonly (number | null)[] {
  return config.workers.cpus ?? [null];
}

/** The arena that a configuration asks for. */
export function arenaSizes(config: Config): ArenaSizes {
  const { memory } = config;
  return {
    workerCount: workerCpus(config).length,
    frameCount: memory.frames,
    frameBytes: memory["frame-bytes"],
    flowCountMax: memory.flows,
    maskCountMax: memory.masks,
    portCountMax: memory.ports,
    upcallRingBytes: memory["upcall-ring-bytes"],
    kernelRingBytes: memory["kernel-ring-bytes"],
  };
}
