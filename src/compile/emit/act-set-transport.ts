// set(tcp), set(udp), set(icmp) and set(icmpv6): action/set-transport.ts and set-icmp.ts. Flows may set ports without a
// match on the protocol, so packets of another one pass unchanged. SCTP's checksum needs a CRC and is left to the
// reference.
import { IP_PROTOCOL, IPV4 } from "../../packet/network-headers.ts";
import { ICMP, TCP, UDP } from "../../packet/transport-headers.ts";
import { call, ifElse } from "../ops/control.ts";
import type { I32, Statement } from "../ops/expression.ts";
import { i32Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import { blended, freshValue, isSet, maskWord, type SetValue } from "./act-blend.ts";
import { complementAt, folded, term16 } from "./act-checksum.ts";
import { guardTransport } from "./act-set-network.ts";
import type { Hand, Template } from "./act-template.ts";
import { emitL4Bytes, emitTransport } from "./act-transport.ts";

interface Transport {
  readonly protocol: number;
  readonly headerBytes: number;
  readonly checksum: number;
  /** 16-bit words of the struct, which are the header's first. */
  readonly words: number;
}

const TRANSPORTS = {
  tcp: { protocol: IP_PROTOCOL.tcp, headerBytes: TCP.headerBytes, checksum: TCP.checksum, words: 2 },
  udp: { protocol: IP_PROTOCOL.udp, headerBytes: UDP.headerBytes, checksum: UDP.checksum, words: 2 },
  icmp: { protocol: IP_PROTOCOL.icmp, headerBytes: ICMP.headerBytes, checksum: ICMP.checksum, words: 1 },
  icmpv6: { protocol: IP_PROTOCOL.icmpv6, headerBytes: ICMP.headerBytes, checksum: ICMP.checksum, words: 1 },
} as const satisfies Readonly<Record<string, Transport>>;

export function setPorts(
  template: Template,
  hand: Hand,
  value: SetValue,
  name: keyof typeof TRANSPORTS,
): Statement[] {
  template.guardNetwork(IPV4.headerBytes);
  guardTransport(template);
  const { code, l3, l4, packetBytes, isV6 } = template;
  const transport: Transport = TRANSPORTS[name];
  const l4Bytes = code.local("l4Bytes");
  const bytesHelper = code.helper("act_l4_bytes", emitL4Bytes);
  const transportHelper = code.helper("act_transport", emitTransport);
  const { head } = hand;
  const protocol = i32.and(call("i32", transportHelper, head.get, l3.get, l4.get, isV6.get), i32.const(0xff));
  return [
    l4Bytes.set(call("i32", bytesHelper, head.get, l3.get, l4.get, isV6.get, packetBytes.get)),
    ifElse(i32.ge_u(l4Bytes.get, i32.const(transport.headerBytes)), [
      ifElse(i32.eq(protocol, i32.const(transport.protocol)), setWords(template, hand, value, name)),
    ]),
  ];
}

function setWords(
  template: Template,
  hand: Hand,
  value: SetValue,
  name: keyof typeof TRANSPORTS,
): Statement[] {
  const { code } = template;
  const frames = code.scope.region("frames");
  const { checksum, words }: Transport = TRANSPORTS[name];
  const header = code.local("header");
  const sum = code.local("sum");
  const before = code.local("before");
  const after = code.local("after");
  const statements: Statement[] = [sum.set(complementAt(header.get, frames + checksum))];
  for (let field = 0; field < words * 2; field += 2) {
    if (!isSet(value, field, 2)) continue;
    const fresh = freshValue(template, value, field, 2);
    statements.push(
      before.set(i32Memory.load16_u(header.get, frames + field)),
      after.set(blended(before.get, fresh, maskWord(value, field, 2), 2)),
      sum.set(i32.add(sum.get, term16(before.get, after.get))),
      i32Memory.store16(header.get, after.get, frames + field),
    );
  }
  statements.push(...folded(sum));
  const store = i32Memory.store16(header.get, sum.get, frames + checksum);
  if (name === "udp") {
    // 0 says "none" and stays; a sum of 0 is sent as 0xffff.
    const isNone = i32.eqz(i32Memory.load16_u(header.get, frames + checksum));
    statements.push(ifElse(i32.eqz(isNone), [ifElse(i32.eqz(sum.get), [sum.set(i32.const(0xffff))]), store]));
  } else {
    statements.push(store);
  }
  const set = [header.set(i32.add(hand.head.get, template.l4.get))];
  return name === "tcp"
    ? [...set, ifElse(isTcpOffsetValid(template, header.get), statements)]
    : [...set, ...statements];
}

/** The data offset lies in the segment, whose length is in `l4Bytes`. */
function isTcpOffsetValid(template: Template, header: I32): I32 {
  const { code } = template;
  const offset = i32.shr_u(
    i32Memory.load8_u(header, code.scope.region("frames") + TCP.dataOffsetFlags),
    i32.const(4),
  );
  return i32.and(
    i32.ge_u(offset, i32.const(TCP.dataOffsetMin)),
    i32.le_u(i32.shl(offset, i32.const(2)), code.local("l4Bytes").get),
  );
}
