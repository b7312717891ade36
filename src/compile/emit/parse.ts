// parse(batch, count, portNo) and parse_again(batch, count): keys and columns of a burst, as datapath/batch-extractor.ts writes
// them in extract() and extractAgain().
//
// First what is the same for all slots. Then one pass of templates: packets do not depend on each other, so the processor
// overlaps the loads of several of them; nothing is called in that loop, because V8 would keep its locals in memory. What no
// template takes is marked in the `flow` column, and a last pass parses it, header by header. What that leaves marked, the
// reference extracts: packets whose headers go on in a second frame, and those too short for Ethernet, which it drops.
import { LINE_0 } from "../../flow/extract-cursor.ts";
import { BATCH } from "../../memory/batch-layout.ts";
import { ETH } from "../../packet/link-headers.ts";
import { IPV4 } from "../../packet/network-headers.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import { brIf, call, callStatement, ifElse, loop, ret } from "../ops/control.ts";
import type { I32, Statement } from "../ops/expression.ts";
import { emitFunction, type LocalI32, type Locals } from "../ops/function.ts";
import { v128Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import { i32x4, v128 } from "../ops/vector.ts";
import { emitClearHeaders, emitClearSlots } from "./parse-clear.ts";
import { emitGeneralPass } from "./parse-general.ts";
import { IPV4_LANES } from "./parse-ipv4.ts";
import { emitTemplates, emitTemplatesAgain } from "./parse-templates.ts";
import type { EmitScope } from "./scope.ts";

export { NOT_PARSED } from "./parse-slot.ts";

export interface ParseOptions {
  /** As OVS's other_config:vlan-limit: 1, 2, or 0 for as many as the key holds. */
  readonly vlanLimit: number;
  /** emitGeneralPass of the same module; one of its own when not given. */
  readonly general?: FunctionEntry;
}

const WORD_BYTES = 4;
const BLOCK_BYTES = 16;
const UNTAGGED = ETH.headerBytes;

/**
 * parse(batch, count, portNo) -> how many slots are left with NOT_PARSED in their `flow` column; all others have 0 there. Of
 * a slot that is left, dirtyLines are right, the rest of it means nothing. Columns are written up to a multiple of four slots.
 * `batch`: byte address (memory/batch-layout.ts).
 */
export function emitParse(scope: EmitScope, options: ParseOptions): FunctionEntry {
  const general = options.general ?? emitGeneralPass(scope, options.vlanLimit);
  const clearSlots = emitClearSlots(scope);
  const templates = emitTemplates(scope);
  const params = { batch: "i32", count: "i32", portNo: "i32" } as const;
  return emitFunction(
    scope.module,
    "parse",
    params,
    ["i32"],
    ({ params: { batch, count, portNo }, locals }) => {
      const metadata = i32x4.replace_lane(v128.const(new Uint8Array(BLOCK_BYTES)), 0, portNo.get);
      return parseBurst(batch, count, locals, clearSlots, general, (end) =>
        call("i32", templates, batch.get, end, metadata, v128.const(IPV4_LANES)),
      );
    },
  );
}

/**
 * parse_again(batch, count) -> as parse: extraction under the metadata that stands in the key slots, whose packet_type says
 * whether the packet begins with Ethernet. A slot that is left keeps its metadata.
 */
export function emitParseAgain(scope: EmitScope, options: ParseOptions): FunctionEntry {
  const general = options.general ?? emitGeneralPass(scope, options.vlanLimit);
  const clearHeaders = emitClearHeaders(scope);
  const templates = emitTemplatesAgain(scope);
  const params = { batch: "i32", count: "i32" } as const;
  return emitFunction(scope.module, "parse_again", params, ["i32"], ({ params: { batch, count }, locals }) =>
    parseBurst(batch, count, locals, clearHeaders, general, (end) =>
      call("i32", templates, batch.get, end, v128.const(IPV4_LANES)),
    ),
  );
}

function parseBurst(
  batch: LocalI32,
  count: LocalI32,
  locals: Locals,
  clear: FunctionEntry,
  general: FunctionEntry,
  templates: (end: I32) => I32,
): Statement[] {
  const at = locals.i32("at");
  const end = locals.i32("end");
  const dirty = locals.add("dirty", "v128");
  const fill = (column: number, value: number): Statement =>
    v128Memory.store(at.get, i32x4.splat(i32.const(value)), column);
  const dirtyBits = v128.xor(v128Memory.load(at.get, BATCH.dirtyLines), i32x4.splat(i32.const(LINE_0)));
  return [
    ifElse(i32.eqz(count.get), [ret(i32.const(0))]),
    end.set(i32.add(batch.get, i32.mul(count.get, i32.const(WORD_BYTES)))),
    at.set(batch.get),
    loop("columns", (next) => [
      fill(BATCH.l3Offset, UNTAGGED),
      fill(BATCH.l4Offset, UNTAGGED + IPV4.headerBytes),
      fill(BATCH.flow, 0),
      dirty.set(v128.or(dirty.get, dirtyBits)),
      brIf(next, i32.lt_u(at.tee(i32.add(at.get, i32.const(BLOCK_BYTES))), end.get)),
    ]),
    ifElse(v128.any_true(dirty.get), [callStatement(clear, batch.get, end.get)]),
    ifElse(templates(end.get), [ret(call("i32", general, batch.get, end.get))]),
    ret(i32.const(0)),
  ];
}
