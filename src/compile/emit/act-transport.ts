// What stands behind a network header, as action/transport-header.ts finds it: functions that templates call for packets
// whose addresses or ports they change. Addresses count from the start of the region of frames; `l3` and `l4` from the
// packet's first byte, `l4` 0xffff for none. All bytes up to the transport header stand in the first frame.

import { swap16 } from "../../packet/bytes.ts";
import { IP_PROTOCOL, IPV4, IPV6, IPV6_EXTENSION } from "../../packet/network-headers.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import { block, br, brIf, call, ifElse, loop, ret, select } from "../ops/control.ts";
import type { I32 } from "../ops/expression.ts";
import { emitFunction } from "../ops/function.ts";
import { i32Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import type { EmitScope } from "./scope.ts";

export const NO_OFFSET = 0xffff;
const RAW_V4_OFFSET_MASK = swap16(IPV4.fragmentOffsetMask);
/** Of the word in an IPv6 fragment header, which has flags below the offset. */
const RAW_V6_OFFSET_MASK = swap16(0xfff8);
const EXTENSION_BYTES_MIN = 8;
const ROUTING_SEGMENTS_LEFT = 3;
const FRAGMENT_OFFSET_WORD = 2;
const EXTENSIONS = [
  IP_PROTOCOL.hopByHop,
  IP_PROTOCOL.routing,
  IP_PROTOCOL.destination,
  IP_PROTOCOL.authentication,
  IP_PROTOCOL.fragment,
];
/** What act_transport answers above the protocol while a routing header has segments left. */
export const ROUTING_UNFINISHED = 0x100;

const swapped16 = (word: I32): I32 =>
  i32.or(i32.shr_u(word, i32.const(8)), i32.and(i32.shl(word, i32.const(8)), i32.const(0xff00)));

/** act_l4_bytes(head, l3, l4, isV6, packetBytes) -> bytes of transport header and payload, link padding not counted. */
export function emitL4Bytes(scope: EmitScope): FunctionEntry {
  const frames = scope.region("frames");
  return emitFunction(
    scope.module,
    "act_l4_bytes",
    { head: "i32", l3: "i32", l4: "i32", isV6: "i32", packetBytes: "i32" },
    ["i32"],
    ({ params: { head, l3, l4, isV6, packetBytes }, locals }) => {
      const end = locals.i32("end");
      const ip = i32.add(head.get, l3.get);
      const stated = (offset: number): I32 => swapped16(i32Memory.load16_u(ip, frames + offset));
      const statedV6 = i32.add(stated(IPV6.payloadLength), i32.const(IPV6.headerBytes));
      return [
        ifElse(i32.eq(l4.get, i32.const(NO_OFFSET)), [ret(i32.const(0))]),
        end.set(i32.add(l3.get, select(statedV6, stated(IPV4.totalLength), isV6.get))),
        end.set(select(packetBytes.get, end.get, i32.lt_u(packetBytes.get, end.get))),
        ret(select(i32.sub(end.get, l4.get), i32.const(0), i32.gt_u(end.get, l4.get))),
      ];
    },
  );
}

/** act_transport(head, l3, l4, isV6) -> the protocol, `none` in a later fragment; with ROUTING_UNFINISHED. */
export function emitTransport(scope: EmitScope): FunctionEntry {
  const frames = scope.region("frames");
  const walk = emitWalkExtensions(scope);
  return emitFunction(
    scope.module,
    "act_transport",
    { head: "i32", l3: "i32", l4: "i32", isV6: "i32" },
    ["i32"],
    ({ params: { head, l3, l4, isV6 } }) => {
      const ip = i32.add(head.get, l3.get);
      const offset = i32.and(i32Memory.load16_u(ip, frames + IPV4.fragment), i32.const(RAW_V4_OFFSET_MASK));
      return [
        ifElse(isV6.get, [ret(call("i32", walk, ip, i32.add(head.get, l4.get)))]),
        ret(select(i32.const(IP_PROTOCOL.none), i32Memory.load8_u(ip, frames + IPV4.protocol), offset)),
      ];
    },
  );
}

/** act_transport_v6(ip, l4) -> as act_transport. */
function emitWalkExtensions(scope: EmitScope): FunctionEntry {
  const frames = scope.region("frames");
  const NONE = i32.const(IP_PROTOCOL.none);
  return emitFunction(
    scope.module,
    "act_transport_v6",
    { ip: "i32", l4: "i32" },
    ["i32"],
    ({ params: { ip, l4 }, locals }) => {
      const next = locals.i32("next");
      const at = locals.i32("at");
      const bytes = locals.i32("bytes");
      const routing = locals.i32("routing");
      const is = (protocol: number): I32 => i32.eq(next.get, i32.const(protocol));
      const units = i32Memory.load8_u(at.get, frames + IPV6_EXTENSION.length);
      const offset = i32.and(
        i32Memory.load16_u(at.get, frames + FRAGMENT_OFFSET_WORD),
        i32.const(RAW_V6_OFFSET_MASK),
      );
      return [
        next.set(i32Memory.load8_u(ip.get, frames + IPV6.nextHeader)),
        at.set(i32.add(ip.get, i32.const(IPV6.headerBytes))),
        block("end", (end) => [
          loop("header", (header) => [
            brIf(end, i32.eqz(EXTENSIONS.map(is).reduce((any, one) => i32.or(any, one)))),
            ifElse(i32.lt_s(i32.sub(l4.get, at.get), i32.const(EXTENSION_BYTES_MIN)), [ret(NONE)]),
            bytes.set(i32.mul(i32.add(units, i32.const(1)), i32.const(IPV6_EXTENSION.unitBytes))),
            ifElse(
              is(IP_PROTOCOL.authentication),
              // RFC 4302: the length counts 4-byte units less two.
              [bytes.set(i32.shl(i32.add(units, i32.const(2)), i32.const(2)))],
              [
                ifElse(is(IP_PROTOCOL.fragment), [
                  ifElse(offset, [ret(NONE)]),
                  bytes.set(i32.const(EXTENSION_BYTES_MIN)),
                ]),
                ifElse(
                  i32.and(
                    is(IP_PROTOCOL.routing),
                    i32.ne(i32Memory.load8_u(at.get, frames + ROUTING_SEGMENTS_LEFT), i32.const(0)),
                  ),
                  [routing.set(i32.const(ROUTING_UNFINISHED))],
                ),
              ],
            ),
            next.set(i32Memory.load8_u(at.get, frames + IPV6_EXTENSION.nextHeader)),
            at.set(i32.add(at.get, bytes.get)),
            br(header),
          ]),
        ]),
        ret(select(i32.or(next.get, routing.get), NONE, i32.eq(at.get, l4.get))),
      ];
    },
  );
}
