// A whole program: every pass of a burst in one module, made for the masks and action shapes in force. With none of them
// it is the general program, which serves any table.

import type { Program } from "../datapath/program.ts";
import type { Arena } from "../memory/arena.ts";
import type { ActionShape } from "../table/shape-store.ts";
import { emitAct } from "./emit/act.ts";
import { emitAfxdpRx } from "./emit/afxdp-rx.ts";
import { type CompiledMask, emitLookup } from "./emit/lookup.ts";
import { emitMemoryRx } from "./emit/memory-rx.ts";
import { emitParse, emitParseAgain } from "./emit/parse.ts";
import { emitGeneralPass } from "./emit/parse-general.ts";
import { EmitScope } from "./emit/scope.ts";
import { emitTransmit } from "./emit/transmit.ts";
import type { FunctionEntry } from "./encoder/module.ts";

export interface ProgramSource {
  readonly masks: readonly CompiledMask[];
  readonly shapes: readonly ActionShape[];
  /** As OVS's other_config:vlan-limit. */
  readonly vlanLimit: number;
  /** Whether the debug ledger is kept. */
  readonly debugLedger: boolean;
}

type Exports = Readonly<Record<keyof Omit<Program, "receivers"> | keyof Program["receivers"], FunctionEntry>>;

/** The module's bytes. */
export function encodeProgram(
  arena: Arena,
  { masks, shapes, vlanLimit, debugLedger }: ProgramSource,
): Uint8Array<ArrayBuffer> {
  const scope = new EmitScope(
    arena,
    `program of ${masks.length} masks and ${shapes.length} shapes`,
    debugLedger,
  );
  const parsing = { vlanLimit, general: emitGeneralPass(scope, vlanLimit) };
  const entries: Exports = {
    parse: emitParse(scope, parsing),
    parseAgain: emitParseAgain(scope, parsing),
    lookup: emitLookup(scope, masks),
    act: emitAct(scope, shapes),
    transmit: emitTransmit(scope),
    memory: emitMemoryRx(scope),
    afxdp: emitAfxdpRx(scope),
  };
  for (const [name, entry] of Object.entries(entries)) scope.module.exportFunction(name, entry);
  return scope.module.encode();
}

/** The program of one thread. @throws WebAssembly.LinkError when the module is not of this arena */
export function instantiateProgram(arena: Arena, threadIndex: number, module: WebAssembly.Module): Program {
  const { exports } = new WebAssembly.Instance(module, EmitScope.imports(arena, threadIndex));
  const { memory, afxdp, ...passes } = exports as unknown as Omit<Program, "receivers"> &
    Program["receivers"];
  return { ...passes, receivers: { memory, afxdp } };
}
