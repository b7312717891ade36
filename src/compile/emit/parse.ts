// parse(batch, count, portNo): keys and columns of a burst, as datapath/batch-extractor.ts extract() writes them.
//
// First what is the same for all slots; then one pass of templates. Packets do not depend on each other, so the processor
// overlaps the loads of several of them; nothing is called in that loop, because V8 would keep its locals in memory. What no
// template takes gets NOT_PARSED in the `flow` column, all others 0.
import { K, KEY_BYTES, KEY_LINE_BYTES, KEY_LINE_COUNT } from "../../flow/fields.ts";
import { BATCH } from "../../memory/batch-layout.ts";
import { ETH, VLAN } from "../../packet/link-headers.ts";
import { IPV4 } from "../../packet/network-headers.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import { block, brIf, callStatement, ifElse, loop, ret } from "../ops/control.ts";
import type { Statement } from "../ops/expression.ts";
import { emitFunction, type LocalI32 } from "../ops/function.ts";
import { i32Memory, v128Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import { i32x4, v128 } from "../ops/vector.ts";
import { IPV4_LANES, ipv4Locals, ipv4Template, ipv4TemplateBytes, isPlainIpv4 } from "./parse-ipv4.ts";
import { hasLinear, loadPacket, type PacketSlot, packetSlot, storeColumn } from "./parse-slot.ts";
import type { EmitScope } from "./scope.ts";

export interface ParseOptions {
  /** As OVS's other_config:vlan-limit: 1, 2, or 0 for as many as the key holds. */
  readonly vlanLimit: number;
}

/** In the `flow` column of a slot that compiled code leaves to the reference. */
export const NOT_PARSED = -1;

const LINE_0_ONLY = 1;
const WORD_BYTES = 4;
const BLOCK_BYTES = 16;
const UNTAGGED = ETH.headerBytes;
const TAGGED = ETH.headerBytes + VLAN.headerBytes;
const RAW_ETH_TYPE_VLAN = 0x0081;

/**
 * parse(batch, count, portNo) -> how many slots are NOT_PARSED. Of those nothing is written but that lines behind line 0 are
 * cleared. `batch`: byte address (memory/batch-layout.ts).
 */
export function emitParse(scope: EmitScope, _options: ParseOptions): FunctionEntry {
  const clearSlots = emitClearSlots(scope);
  const templates = emitTemplates(scope);
  const params = { batch: "i32", count: "i32", portNo: "i32" } as const;
  return emitFunction(
    scope.module,
    "parse",
    params,
    ["i32"],
    ({ params: { batch, count, portNo }, locals }) => {
      const at = locals.i32("at");
      const end = locals.i32("end");
      const dirty = locals.add("dirty", "v128");
      const flows = locals.add("flows", "v128");
      const fill = (column: number, value: number): Statement =>
        v128Memory.store(at.get, i32x4.splat(i32.const(value)), column);
      return [
        ifElse(i32.eqz(count.get), [ret(i32.const(0))]),
        at.set(batch.get),
        end.set(i32.add(batch.get, i32.mul(count.get, i32.const(WORD_BYTES)))),
        loop("columns", (next) => [
          fill(BATCH.l3Offset, UNTAGGED),
          fill(BATCH.l4Offset, UNTAGGED + IPV4.headerBytes),
          fill(BATCH.flow, 0),
          dirty.set(
            v128.or(
              dirty.get,
              v128.xor(v128Memory.load(at.get, BATCH.dirtyLines), i32x4.splat(i32.const(LINE_0_ONLY))),
            ),
          ),
          brIf(next, i32.lt_u(at.tee(i32.add(at.get, i32.const(BLOCK_BYTES))), end.get)),
        ]),
        ifElse(v128.any_true(dirty.get), [callStatement(clearSlots, batch.get, end.get)]),
        callStatement(
          templates,
          batch.get,
          end.get,
          i32x4.replace_lane(v128.const(new Uint8Array(BLOCK_BYTES)), 0, portNo.get),
          v128.const(IPV4_LANES),
        ),
        at.set(batch.get),
        loop("flows", (next) => [
          flows.set(i32x4.add(flows.get, v128Memory.load(at.get, BATCH.flow))),
          brIf(next, i32.lt_u(at.tee(i32.add(at.get, i32.const(BLOCK_BYTES))), end.get)),
        ]),
        ret(
          [1, 2, 3].reduce(
            (sum, lane) => i32.sub(sum, i32x4.extract_lane(flows.get, lane)),
            i32.sub(i32.const(0), i32x4.extract_lane(flows.get, 0)),
          ),
        ),
      ];
    },
  );
}

/** parse_templates(batch, end, metadata, lanes) -> slots that no template takes; there is one at least. */
function emitTemplates(scope: EmitScope): FunctionEntry {
  const params = { batch: "i32", end: "i32", metadata: "v128", lanes: "v128" } as const;
  return emitFunction(scope.module, "parse_templates", params, [], ({ params, locals }) => {
    const slot = packetSlot(locals);
    const ipv4 = ipv4Locals(locals, params.lanes);
    const rawEthType = i32Memory.load16_u(slot.head.get, scope.region("frames") + ETH.type);
    return [
      slot.column.set(params.batch.get),
      slot.key.set(params.batch.get),
      loop("slots", (next) => [
        ...loadPacket(scope, slot, locals),
        v128Memory.store(slot.key.get, params.metadata.get, BATCH.keys + K.in_port),
        block("parsed", (parsed) => [
          block("refused", (refused) => [
            brIf(refused, i32.eqz(hasLinear(slot, ipv4TemplateBytes(UNTAGGED)))),
            block("tagged", (tagged) => [
              brIf(tagged, i32.eqz(isPlainIpv4(scope, slot, UNTAGGED))),
              ...ipv4Template(scope, slot, ipv4, UNTAGGED, { parsed, refused }),
            ]),
            brIf(refused, i32.eqz(hasLinear(slot, ipv4TemplateBytes(TAGGED)))),
            brIf(refused, i32.ne(rawEthType, i32.const(RAW_ETH_TYPE_VLAN))),
            brIf(refused, i32.eqz(isPlainIpv4(scope, slot, TAGGED))),
            ...ipv4Template(scope, slot, ipv4, TAGGED, { parsed, refused }),
          ]),
          storeColumn(slot, BATCH.flow, i32.const(NOT_PARSED)),
        ]),
        ...nextSlot(slot),
        brIf(next, i32.lt_u(slot.column.get, params.end.get)),
      ]),
    ];
  });
}

const nextSlot = ({ column, key }: Pick<PacketSlot, "column" | "key">): Statement[] => [
  column.set(i32.add(column.get, i32.const(WORD_BYTES))),
  key.set(i32.add(key.get, i32.const(KEY_BYTES))),
];

/** clear_slots(batch, end): zeroes all lines of key slots that are not, but line 0, which every packet writes. */
function emitClearSlots(scope: EmitScope): FunctionEntry {
  const params = { batch: "i32", end: "i32" } as const;
  return emitFunction(scope.module, "clear_slots", params, [], ({ params, locals }) => {
    const column = locals.i32("column");
    const key = locals.i32("key");
    const lines = locals.i32("lines");
    return [
      column.set(params.batch.get),
      key.set(params.batch.get),
      loop("slots", (next) => [
        lines.set(i32Memory.load(column.get, BATCH.dirtyLines)),
        ifElse(i32.ne(lines.get, i32.const(LINE_0_ONLY)), [
          ...Array.from({ length: KEY_LINE_COUNT - 1 }, (_, line) => clearLine(key, lines, line + 1)),
          i32Memory.store(column.get, i32.const(LINE_0_ONLY), BATCH.dirtyLines),
        ]),
        ...nextSlot({ column, key }),
        brIf(next, i32.lt_u(column.get, params.end.get)),
      ]),
    ];
  });
}

function clearLine(key: LocalI32, lines: LocalI32, line: number): Statement {
  const start = BATCH.keys + line * KEY_LINE_BYTES;
  const zero = v128.const(new Uint8Array(BLOCK_BYTES));
  return ifElse(
    i32.and(lines.get, i32.const(1 << line)),
    [0, 1, 2, 3].map((index) => v128Memory.store(key.get, zero, start + index * BLOCK_BYTES)),
  );
}
