// The last pass of a parse: packets that no template took, header by header. Costs a few calls a packet.
import { LINE_0, NO_OFFSET } from "../../flow/extract-cursor.ts";
import { K } from "../../flow/fields.ts";
import { BATCH } from "../../memory/batch-layout.ts";
import { ETH } from "../../packet/link-headers.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import { block, brIf, call, choose, loop, ret } from "../ops/control.ts";
import type { I32, Statement } from "../ops/expression.ts";
import { emitFunction, type LocalI32 } from "../ops/function.ts";
import { i32Memory, v128Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import { v128 } from "../ops/vector.ts";
import { UNREADABLE } from "./parse-header.ts";
import { plainIpv6 } from "./parse-ipv6-plain.ts";
import { emitPacketParsers, type PacketParsers } from "./parse-link.ts";
import { linearBytes, loadPacket, nextSlot, type PacketSlot, packetSlot, storeColumn } from "./parse-slot.ts";
import type { EmitScope } from "./scope.ts";

/** parse_general(batch, end) -> marked slots that stay so. Metadata stand in the slots, and what is behind line 0 is clear. */
export function emitGeneralPass(scope: EmitScope, vlanLimit: number): FunctionEntry {
  const parsers = emitPacketParsers(scope, vlanLimit);
  const params = { batch: "i32", end: "i32" } as const;
  return emitFunction(scope.module, "parse_general", params, ["i32"], ({ params, locals }) => {
    const slot = packetSlot(locals);
    const packetType = locals.i32("packetType");
    const lines = locals.i32("lines");
    const left = locals.i32("left");
    return [
      slot.column.set(params.batch.get),
      slot.key.set(params.batch.get),
      loop("slots", (next) => [
        block("done", (done) => [
          brIf(done, i32.eqz(i32Memory.load(slot.column.get, BATCH.flow))),
          ...loadPacket(scope, slot, locals),
          packetType.set(i32Memory.load(slot.key.get, BATCH.keys + K.packet_type)),
          left.set(i32.add(left.get, i32.const(1))),
          brIf(done, isShort(slot, packetType)),
          block("parsed", (parsed) => [
            block("refused", (refused) => [
              brIf(refused, packetType.get),
              ...plainIpv6(scope, slot, locals, { parsed, refused }),
            ]),
            ...begin(slot),
            lines.set(parsePacket(slot, packetType, parsers)),
            storeColumn(slot, BATCH.dirtyLines, dirtyAfter(slot, lines)),
            brIf(done, i32.and(lines.get, i32.const(UNREADABLE))),
          ]),
          storeColumn(slot, BATCH.flow, i32.const(0)),
          left.set(i32.sub(left.get, i32.const(1))),
        ]),
        ...nextSlot(slot),
        brIf(next, i32.lt_u(slot.column.get, params.end.get)),
      ]),
      ret(left.get),
    ];
  });
}

/** Too short for Ethernet: the reference drops it. */
const isShort = (slot: PacketSlot, packetType: LocalI32): I32 =>
  i32.and(i32.eqz(packetType.get), i32.lt_u(slot.packetBytes.get, i32.const(ETH.headerBytes)));

/** No header passed: everything in line 0 that a packet can set is zero. */
function begin(slot: PacketSlot): Statement[] {
  const zero = v128.const(new Uint8Array(16));
  return [
    v128Memory.store(slot.key.get, zero, BATCH.keys + K.eth_dst),
    v128Memory.store(slot.key.get, zero, BATCH.keys + K.eth_type),
    i32Memory.store(slot.key.get, i32.const(0), BATCH.keys + K.tp_src),
    storeColumn(slot, BATCH.l3Offset, i32.const(NO_OFFSET)),
    storeColumn(slot, BATCH.l4Offset, i32.const(NO_OFFSET)),
    storeColumn(slot, BATCH.tcpFlags, i32.const(0)),
  ];
}

function parsePacket(slot: PacketSlot, packetType: LocalI32, { ethernet, payload }: PacketParsers): I32 {
  const head = slot.head.get;
  const end = i32.add(head, linearBytes(slot));
  const position = [head, head, end, slot.packetBytes.get, slot.key.get, slot.column.get];
  // The Ethertype is the type's second half.
  const rawType = i32.shr_u(packetType.get, i32.const(16));
  return choose(
    i32.eqz(packetType.get),
    call("i32", ethernet, i32.const(0), ...position),
    call("i32", payload, rawType, ...position),
  );
}

const dirtyAfter = (slot: PacketSlot, lines: LocalI32): I32 =>
  i32.or(
    i32Memory.load(slot.column.get, BATCH.dirtyLines),
    i32.and(i32.or(lines.get, i32.const(LINE_0)), i32.const(~UNREADABLE)),
  );
