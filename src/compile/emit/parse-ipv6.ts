// IPv6 with its extension headers, as flow/extract-network.ts parses it.
import { LINE_1 } from "../../flow/extract-cursor.ts";
import { IP_PADDING_BYTES_MAX } from "../../flow/extract-network.ts";
import { FRAG_FIRST, FRAG_LATER, K } from "../../flow/fields.ts";
import { BATCH } from "../../memory/batch-layout.ts";
import {
  AUTHENTICATION,
  IP_PROTOCOL,
  IPV6,
  IPV6_EXTENSION,
  IPV6_FRAGMENT,
} from "../../packet/network-headers.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import { block, br, brIf, choose, ifElse, loop } from "../ops/control.ts";
import type { I32, Statement } from "../ops/expression.ts";
import type { LocalI32, Locals } from "../ops/function.ts";
import { i32 } from "../ops/numeric.ts";
import { emitHeader, type HeaderReader, raw16 } from "./parse-header.ts";
import { putNetworkFields } from "./parse-network.ts";
import { swap16 } from "./parse-slot.ts";
import type { EmitScope } from "./scope.ts";

/** The flow label in the header's first word, as a little-endian load sees it. */
const RAW_LABEL = 0xffff0f00;
/** Traffic class in the header's first half word. */
const CLASS_SHIFT = IPV6.classShift - 16;
/** Least length of an extension header, and the whole of the fragment header. */
const EXTENSION_BYTES_MIN = IPV6_FRAGMENT.headerBytes;
const EXTENSIONS = [
  IP_PROTOCOL.hopByHop,
  IP_PROTOCOL.routing,
  IP_PROTOCOL.destination,
  IP_PROTOCOL.authentication,
  IP_PROTOCOL.fragment,
];

/** parse_ipv6(0, ...): an extension header that is cut off leaves the addresses, but not the label. */
export function emitIpv6(scope: EmitScope, transport: FunctionEntry): FunctionEntry {
  return emitHeader(scope, "parse_ipv6", (header, _kind, locals) => {
    const payloadBytes = locals.i32("payloadBytes");
    const first = locals.i32("classAndLabel");
    const hopLimit = locals.i32("hopLimit");
    const proto = locals.i32("proto");
    const frag = locals.i32("frag");
    const paddingBytes = i32.sub(i32.sub(header.size.get, i32.const(IPV6.headerBytes)), payloadBytes.get);
    const trafficClass = i32.and(
      i32.shr_u(swap16(i32.and(first.get, i32.const(0xffff))), i32.const(CLASS_SHIFT)),
      i32.const(0xff),
    );
    return [
      ...header.need(IPV6.headerBytes),
      payloadBytes.set(header.be16(IPV6.payloadLength)),
      // More than the packet has, or too many bytes behind it.
      header.endIf(i32.gt_u(paddingBytes, i32.const(IP_PADDING_BYTES_MAX))),
      ...header.copy(IPV6.src, K.ipv6_src, 2 * IPV6.addressBytes),
      header.marks(LINE_1),
      first.set(header.raw32(IPV6.versionClassLabel)),
      hopLimit.set(header.byte(IPV6.hopLimit)),
      proto.set(header.byte(IPV6.nextHeader)),
      ...header.pull(IPV6.headerBytes),
      header.size.set(payloadBytes.get),
      ...walkExtensions(header, proto, frag, locals),
      header.put32(K.ipv6_label, i32.and(first.get, i32.const(RAW_LABEL))),
      putNetworkFields(header, frag.get, proto.get, trafficClass, hopLimit.get),
      header.notes(BATCH.l4Offset),
      ifElse(i32.ne(frag.get, i32.const(FRAG_LATER)), [header.handOn(transport, proto.get)]),
    ];
  });
}

/**
 * Passes extension headers in whatever order they come and leaves the protocol behind them; ends the parse at one that is cut
 * off. A later fragment ends the walk with protocol 44. A fragment header whose offset word is zero is an atomic fragment (RFC
 * 6946) and no fragment; a reserved bit in that word makes it a first fragment, as in OVS.
 */
function walkExtensions(header: HeaderReader, proto: LocalI32, frag: LocalI32, locals: Locals): Statement[] {
  const following = locals.i32("following");
  const fragment = locals.i32("fragment");
  const bytes = locals.i32("extensionBytes");
  const isProto = (value: number): I32 => i32.eq(proto.get, i32.const(value));
  const isExtension = EXTENSIONS.map(isProto).reduce((any, one) => i32.or(any, one));
  const lengthField = header.byte(IPV6_EXTENSION.length);
  const scaled = (bias: number, unitBytes: number): I32 =>
    i32.mul(i32.add(lengthField, i32.const(bias)), i32.const(unitBytes));
  return [
    block("transport", (transport) => [
      loop("extensions", (next) => [
        brIf(transport, i32.eqz(isExtension)),
        ...header.need(EXTENSION_BYTES_MIN),
        following.set(header.byte(IPV6_EXTENSION.nextHeader)),
        ifElse(
          isProto(IP_PROTOCOL.fragment),
          [
            fragment.set(header.raw16(IPV6_FRAGMENT.offsetFlags)),
            ...header.pull(EXTENSION_BYTES_MIN),
            ifElse(fragment.get, [frag.set(i32.const(FRAG_FIRST))]),
            ifElse(i32.and(fragment.get, i32.const(raw16(IPV6_FRAGMENT.offsetMask))), [
              frag.set(i32.const(FRAG_LATER)),
              br(transport),
            ]),
          ],
          [
            // RFC 4302: AH counts 4-byte units less 2; the others count 8-byte units less 1 (RFC 8200).
            bytes.set(
              choose(
                isProto(IP_PROTOCOL.authentication),
                scaled(AUTHENTICATION.lengthBias, AUTHENTICATION.unitBytes),
                scaled(1, IPV6_EXTENSION.unitBytes),
              ),
            ),
            header.endIf(i32.lt_u(header.size.get, bytes.get)),
            ...header.pull(bytes.get),
          ],
        ),
        proto.set(following.get),
        br(next),
      ]),
    ]),
  ];
}
