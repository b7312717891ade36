// Incremental updates of checksums (RFC 1624) as packet/checksum.ts does them, and of the transport's behind a changed
// address or port as action/transport-checksum.ts does.
//
// Words are taken as they lie in memory: a sum of words with their bytes changed over is the sum with its bytes changed
// over (RFC 1071, section 2 B). Updates one after the other are one update by the sum of their terms, because only the
// last fold tells 0 from 0xffff; a field that keeps its value adds no term, since a term of 0xffff is not neutral.
import { IP_PROTOCOL } from "../../packet/network-headers.ts";
import { ICMPV6, TCP, UDP } from "../../packet/transport-headers.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import { block, br, brIf, ifElse, ret, select } from "../ops/control.ts";
import type { I32, Statement } from "../ops/expression.ts";
import { emitFunction, type LocalI32 } from "../ops/function.ts";
import { i32Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import type { EmitScope } from "./scope.ts";

const HALF = i32.const(0xffff);
const low = (a: I32): I32 => i32.and(a, HALF);
const high = (a: I32): I32 => i32.shr_u(a, i32.const(16));

/** What a changed word of 32 bits adds to the sum. Both are read several times: give locals. */
export function wordTerm(before: I32, after: I32): I32 {
  const complement = i32.xor(before, i32.const(-1));
  return i32.add(i32.add(low(complement), high(complement)), i32.add(low(after), high(after)));
}

/** What a 32-bit field adds, nothing when it keeps its value. */
export const term32 = (before: I32, after: I32): I32 =>
  select(i32.const(0), wordTerm(before, after), i32.eq(before, after));

/** What a field of 16 bits or fewer adds, at its place in its word. */
export function term16(before: I32, after: I32): I32 {
  return select(i32.const(0), i32.add(i32.xor(before, HALF), after), i32.eq(before, after));
}

/** The checksum whose complement and terms have this sum. Statements, because the sum is folded in its local. */
export function folded(sum: LocalI32): Statement[] {
  const fold = sum.set(i32.add(low(sum.get), high(sum.get)));
  return [fold, fold, sum.set(i32.xor(sum.get, HALF))];
}

/** The sum that an update begins with. @param address of the checksum */
export const complementAt = (address: I32, offset: number): I32 =>
  i32.xor(i32Memory.load16_u(address, offset), HALF);

/**
 * act_patch_transport(protocol, l4, l4Bytes, terms): adds the terms to the checksum of a transport header whose
 * checksum counts them; that of other protocols is left alone. `l4` from the start of the region of frames.
 */
export function emitPatchTransport(scope: EmitScope): FunctionEntry {
  const frames = scope.region("frames");
  return emitFunction(
    scope.module,
    "act_patch_transport",
    { protocol: "i32", l4: "i32", l4Bytes: "i32", terms: "i32" },
    [],
    ({ params: { protocol, l4, l4Bytes, terms } }) => {
      const is = (number: number): I32 => i32.eq(protocol.get, i32.const(number));
      const at = (field: number): Statement => l4.set(i32.add(l4.get, i32.const(field)));
      const need = (bytes: number): Statement => ifElse(i32.lt_u(l4Bytes.get, i32.const(bytes)), [ret()]);
      return [
        block("found", (found) => [
          ifElse(is(IP_PROTOCOL.tcp), [need(TCP.headerBytes), at(TCP.checksum), br(found)]),
          ifElse(is(IP_PROTOCOL.udp), [
            need(UDP.headerBytes),
            at(UDP.checksum),
            // None was sent, and none is needed.
            brIf(found, i32Memory.load16_u(l4.get, frames)),
            ret(),
          ]),
          ifElse(is(IP_PROTOCOL.icmpv6), [need(ICMPV6.headerBytes), at(ICMPV6.checksum), br(found)]),
          ret(),
        ]),
        terms.set(i32.add(complementAt(l4.get, frames), terms.get)),
        ...folded(terms),
        ifElse(i32.and(is(IP_PROTOCOL.udp), i32.eqz(terms.get)), [terms.set(HALF)]),
        i32Memory.store16(l4.get, terms.get, frames),
      ];
    },
  );
}
