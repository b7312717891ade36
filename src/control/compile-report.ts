// What a flow file compiles to: `millrace compile`.
import { readFileSync } from "node:fs";
import { printActions } from "../action/odp/print-actions.ts";
import { encodeProgram, type ProgramSource } from "../compile/program-module.ts";
import { readMasks } from "../compile/table-masks.ts";
import { DEFAULT_SIZES } from "../memory/region-plan.ts";
import { readShapes } from "../table/shape-store.ts";
import { tableStats } from "../table/table-stats.ts";
import type { Config } from "./config/schema.ts";
import { parseFlowFile } from "./flow-file.ts";
import { installFlows } from "./flow-install.ts";
import { OfflineSwitch } from "./offline-switch.ts";

const NO_PORTS = { numbers: new Map<string, number>(), names: new Map<number, string>() };

export interface CompileReport {
  readonly flowCount: number;
  /** In the order in which look-ups go through them; `name` is that of the probe, without `lookup_`. */
  readonly masks: readonly { readonly number: number; readonly name: string; readonly flowCount: number }[];
  /** Shapes of action lists: one list of each, its values set to zero. */
  readonly shapes: readonly { readonly number: number; readonly actions: string }[];
  readonly moduleBytes: number;
  readonly encodeMillis: number;
  readonly compileMillis: number;
}

export interface CompiledFlows {
  readonly report: CompileReport;
  readonly module: Uint8Array<ArrayBuffer>;
}

/** @throws FlowFileError */
export async function compileFlowFile(
  file: string,
  policy: Config["policy"],
  vlanLimit: number,
): Promise<CompiledFlows> {
  const entries = parseFlowFile(readFileSync(file, "utf8"), file, NO_PORTS, vlanLimit);
  const flowCountMax = Math.max(1024, entries.length + 1);
  const offline = new OfflineSwitch({
    sizes: { ...DEFAULT_SIZES, flowCountMax },
    policy,
    vlanLimit,
    seed: 0,
    engine: "reference",
  });
  try {
    await installFlows(offline.flows.writer, [entries]);
    return compileTable(offline, vlanLimit);
  } finally {
    await offline.close();
  }
}

function compileTable({ arena }: OfflineSwitch, vlanLimit: number): CompiledFlows {
  const source: ProgramSource = {
    masks: readMasks(arena),
    shapes: readShapes(arena),
    vlanLimit,
    debugLedger: false,
  };
  const start = performance.now();
  const module = encodeProgram(arena, source);
  const encodeMillis = performance.now() - start;
  new WebAssembly.Module(module);
  const compileMillis = performance.now() - start - encodeMillis;
  const { flowCount, masks } = tableStats(arena);
  const report = {
    flowCount,
    masks: source.masks.map(({ number, name, bytes }) => ({
      number,
      name,
      flowCount: masks.find(({ mask }) => Buffer.compare(mask, bytes) === 0)?.flowCount ?? 0,
    })),
    shapes: source.shapes.map(({ number, list }) => ({ number, actions: printActions(list) })),
    moduleBytes: module.length,
    encodeMillis,
    compileMillis,
  };
  return { report, module };
}
