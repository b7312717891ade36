// dec_ttl: action/dec-ttl.ts. A packet whose TTL would reach zero goes to the action's own list.
import { IPV4, IPV6 } from "../../packet/network-headers.ts";
import { ifElse, select } from "../ops/control.ts";
import type { I32, Statement } from "../ops/expression.ts";
import { i32Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import { complementAt, folded } from "./act-checksum.ts";
import type { Hand, Template } from "./act-template.ts";

/** What one off the TTL, the first byte of its word, adds to the complement of the header's checksum. */
const ONE_OFF_TERM = 0xffff - 1;

export interface TtlCode {
  /** Loads the TTL; nothing is written. */
  readonly load: Statement[];
  readonly isExpired: I32;
  readonly decrement: Statement[];
}

export function decrementTtl(template: Template, hand: Hand): TtlCode {
  const { code, l3, isV6, dataBytes } = template;
  const frames = code.scope.region("frames");
  template.guard("network header of either kind", () => {
    const headerBytes = select(i32.const(IPV6.headerBytes), i32.const(IPV4.headerBytes), isV6.get);
    return i32.gt_u(i32.add(l3.get, headerBytes), dataBytes.get);
  });
  const ip = code.local("ip");
  const ttl = code.local("ttl");
  const sum = code.local("sum");
  // The hop limit stands one byte before where IPv4's TTL does.
  const at = i32.sub(ip.get, isV6.get);
  return {
    load: [ip.set(i32.add(hand.head.get, l3.get)), ttl.set(i32Memory.load8_u(at, frames + IPV4.ttl))],
    isExpired: i32.le_u(ttl.get, i32.const(1)),
    decrement: [
      i32Memory.store8(at, i32.sub(ttl.get, i32.const(1)), frames + IPV4.ttl),
      ifElse(i32.eqz(isV6.get), [
        sum.set(i32.add(complementAt(ip.get, frames + IPV4.checksum), i32.const(ONE_OFF_TERM))),
        ...folded(sum),
        i32Memory.store16(ip.get, sum.get, frames + IPV4.checksum),
      ]),
    ],
  };
}
