// The pass of templates: straight code for the packets that nearly all packets are.
import { K } from "../../flow/fields.ts";
import { BATCH } from "../../memory/batch-layout.ts";
import { ETH, VLAN } from "../../packet/link-headers.ts";
import type { Label } from "../encoder/code.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import { block, brIf, loop, ret } from "../ops/control.ts";
import type { Statement } from "../ops/expression.ts";
import { emitFunction, type Local, type LocalI32, type Locals } from "../ops/function.ts";
import { i32Memory, v128Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import { v128 } from "../ops/vector.ts";
import { ipv4Locals, ipv4Template, ipv4TemplateBytes, isPlainIpv4 } from "./parse-ipv4.ts";
import {
  hasLinear,
  loadPacket,
  NOT_PARSED,
  nextSlot,
  type PacketSlot,
  packetSlot,
  storeColumn,
} from "./parse-slot.ts";
import type { EmitScope } from "./scope.ts";

const UNTAGGED = ETH.headerBytes;
const TAGGED = ETH.headerBytes + VLAN.headerBytes;
const RAW_ETH_TYPE_VLAN = 0x0081;

/** parse_templates(batch, end, metadata, lanes) -> whether it marked a slot: writes line 0, metadata included, or marks it. */
export function emitTemplates(scope: EmitScope): FunctionEntry {
  const params = { batch: "i32", end: "i32", metadata: "v128", lanes: "v128" } as const;
  return emitFunction(scope.module, "parse_templates", params, ["i32"], ({ params, locals }) => {
    const slot = packetSlot(locals);
    const store = (field: number, value: Local<"v128"> | null): Statement =>
      v128Memory.store(slot.key.get, value?.get ?? v128.const(new Uint8Array(16)), BATCH.keys + field);
    return templatePass(scope, slot, params, locals, {
      metadataStays: false,
      before: () => [store(K.in_port, params.metadata)],
      // The general parser writes no metadata.
      refused: [store(K.tp_src, null)],
    });
  });
}

/** parse_templates_again(batch, end, lanes): likewise, under the metadata that stands in the slots. */
export function emitTemplatesAgain(scope: EmitScope): FunctionEntry {
  const params = { batch: "i32", end: "i32", lanes: "v128" } as const;
  return emitFunction(scope.module, "parse_templates_again", params, ["i32"], ({ params, locals }) => {
    const slot = packetSlot(locals);
    const packetType = i32Memory.load(slot.key.get, BATCH.keys + K.packet_type);
    return templatePass(scope, slot, params, locals, {
      metadataStays: true,
      // Templates begin with Ethernet.
      before: (refused) => [brIf(refused, packetType)],
      refused: [],
    });
  });
}

interface PassStyle {
  readonly metadataStays: boolean;
  readonly before: (refused: Label) => readonly Statement[];
  readonly refused: readonly Statement[];
}

interface PassParams {
  readonly batch: LocalI32;
  readonly end: LocalI32;
  readonly lanes: Local<"v128">;
}

function templatePass(
  scope: EmitScope,
  slot: PacketSlot,
  { batch, end, lanes }: PassParams,
  locals: Locals,
  style: PassStyle,
): Statement[] {
  const ipv4 = ipv4Locals(locals, lanes, style.metadataStays);
  const marked = locals.i32("marked");
  const rawEthType = i32Memory.load16_u(slot.head.get, scope.region("frames") + ETH.type);
  return [
    slot.column.set(batch.get),
    slot.key.set(batch.get),
    loop("slots", (next) => [
      ...loadPacket(scope, slot, locals),
      block("parsed", (parsed) => [
        block("refused", (refused) => [
          ...style.before(refused),
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
        ...style.refused,
        storeColumn(slot, BATCH.flow, i32.const(NOT_PARSED)),
        marked.set(i32.const(1)),
      ]),
      ...nextSlot(slot),
      brIf(next, i32.lt_u(slot.column.get, end.get)),
    ]),
    ret(marked.get),
  ];
}
