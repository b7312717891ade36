// Which list an action that holds lists has carried out (action/nested-list.ts): what is known of it beforehand, and the
// condition that each packet decides.
import { ACTION, CHECK_PKT_LEN, DEC_TTL, SAMPLE } from "../../flow/action-numbers.ts";
import { K } from "../../flow/fields.ts";
import { NLA_HEADER_BYTES } from "../../flow/nlattr.ts";
import { BATCH } from "../../memory/batch-layout.ts";
import { ENGINE } from "../../memory/engine-layout.ts";
import { GLOBAL } from "../../memory/thread-block.ts";
import { swap16 } from "../../packet/bytes.ts";
import { ETH_TYPE } from "../../packet/link-headers.ts";
import { IPV4, IPV6 } from "../../packet/network-headers.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import { call, ifElse, ret, select } from "../ops/control.ts";
import type { I32 } from "../ops/expression.ts";
import { emitFunction } from "../ops/function.ts";
import { i32Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import { bytesNow, type Cut } from "./act-handover.ts";
import type { Hand, Template } from "./act-template.ts";
import { NO_OFFSET } from "./act-transport.ts";
import type { EmitScope } from "./scope.ts";

const TYPE_MASK = 0x3fff;
const ALWAYS = i32.const(0xffffffff);

/** A list inside the shape, from its first action to its end. */
export interface Part {
  readonly start: number;
  readonly end: number;
}

export interface Choice {
  /** Null when `chosen` is carried out of every packet. */
  readonly condition: I32 | null;
  readonly chosen: Part;
  /** An empty part: nothing is carried out. */
  readonly otherwise: Part;
}

const NOTHING: Part = { start: 0, end: 0 };

export function chooseNested(template: Template, hand: Hand, type: number, at: number, cut: Cut): Choice {
  const end = at + template.u16(at);
  if (type === ACTION.clone)
    return { condition: null, chosen: { start: at + NLA_HEADER_BYTES, end }, otherwise: NOTHING };
  if (type === ACTION.decTtl)
    return { condition: null, chosen: partOf(template, at, DEC_TTL.action), otherwise: NOTHING };
  if (type === ACTION.sample) {
    const draw = template.code.helper("act_draw", emitDraw);
    const probability = template.arg(partOf(template, at, SAMPLE.probability).start);
    const condition = call("i32", draw, template.code.batch.get, probability);
    return { condition, chosen: partOf(template, at, SAMPLE.actions), otherwise: NOTHING };
  }
  const length = template.arg16(partOf(template, at, CHECK_PKT_LEN.pktLen).start);
  return {
    condition: i32.gt_s(lengthOf(template, hand, cut), length),
    chosen: partOf(template, at, CHECK_PKT_LEN.actionsIfGreater),
    otherwise: partOf(template, at, CHECK_PKT_LEN.actionsIfLessEqual),
  };
}

/** Validated actions have all their parts; a list that lacks one has an empty one. */
function partOf(template: Template, action: number, type: number): Part {
  const end = action + template.u16(action);
  for (let at = action + NLA_HEADER_BYTES; at < end; at += (template.u16(at) + 3) & ~3) {
    if ((template.u16(at + 2) & TYPE_MASK) === type)
      return { start: at + NLA_HEADER_BYTES, end: at + template.u16(at) };
  }
  return NOTHING;
}

/** What check_pkt_len compares: bytes without padding behind an IP packet, less what trunc has cut. */
function lengthOf(template: Template, hand: Hand, cut: Cut): I32 {
  template.guardSingleFrame();
  const { code, key, l3, packetBytes } = template;
  const padding = code.helper("act_padding", emitPadding);
  const bytes = i32.sub(
    bytesNow(template, hand),
    call("i32", padding, hand.head.get, l3.get, key.get, packetBytes.get),
  );
  return cut === null ? bytes : i32.sub(bytes, cut.get);
}

const swapped16 = (word: I32): I32 =>
  i32.or(i32.shr_u(word, i32.const(8)), i32.and(i32.shl(word, i32.const(8)), i32.const(0xff00)));

/** act_padding(head, l3, key, packetBytes): action/packet-changes.ts, paddingBytes, for a packet in one frame. */
function emitPadding(scope: EmitScope): FunctionEntry {
  const frames = scope.region("frames");
  return emitFunction(
    scope.module,
    "act_padding",
    { head: "i32", l3: "i32", key: "i32", packetBytes: "i32" },
    ["i32"],
    ({ params: { head, l3, key, packetBytes }, locals }) => {
      const room = locals.i32("room");
      const ip = locals.i32("ip");
      const bytes = locals.i32("bytes");
      const type = i32Memory.load16_u(key.get, BATCH.keys + K.eth_type);
      const is = (ethType: number): I32 => i32.eq(type, i32.const(swap16(ethType)));
      const be16 = (offset: number): I32 => swapped16(i32Memory.load16_u(ip.get, frames + offset));
      const header = i32.shl(
        i32.and(i32Memory.load8_u(ip.get, frames + IPV4.versionIhl), i32.const(IPV4.ihlMask)),
        i32.const(2),
      );
      const NONE = ret(i32.const(0));
      const none = (condition: I32) => ifElse(condition, [NONE]);
      const beyond = ret(select(i32.sub(room.get, bytes.get), i32.const(0), i32.gt_s(room.get, bytes.get)));
      return [
        none(i32.eq(l3.get, i32.const(NO_OFFSET))),
        room.set(i32.sub(packetBytes.get, l3.get)),
        ip.set(i32.add(head.get, l3.get)),
        ifElse(is(ETH_TYPE.ipv6), [
          none(i32.lt_s(room.get, i32.const(IPV6.headerBytes))),
          bytes.set(i32.add(be16(IPV6.payloadLength), i32.const(IPV6.headerBytes))),
          beyond,
        ]),
        none(i32.or(i32.eqz(is(ETH_TYPE.ipv4)), i32.lt_s(room.get, i32.const(IPV4.headerBytes)))),
        bytes.set(be16(IPV4.totalLength)),
        none(i32.or(i32.lt_u(header, i32.const(IPV4.headerBytes)), i32.lt_u(bytes.get, header))),
        beyond,
      ];
    },
  );
}

/** act_draw(batch, probability) -> whether a packet is drawn: Marsaglia's xorshift, seeded as the reference's of this batch. */
function emitDraw(scope: EmitScope): FunctionEntry {
  const { scratch } = scope.thread;
  return emitFunction(
    scope.module,
    "act_draw",
    { batch: "i32", probability: "i32" },
    ["i32"],
    ({ params: { batch, probability }, locals }) => {
      const random = locals.i32("random");
      const seed = i32Memory.load(i32.const(scope.region("globals")), GLOBAL.hashSeed);
      const start = i32.or(i32.mul(i32.xor(seed, batch.get), i32.const(0x9e3779b1)), i32.const(1));
      return [
        random.set(i32Memory.load(scratch, ENGINE.random)),
        ifElse(i32.eqz(random.get), [random.set(start)]),
        random.set(i32.xor(random.get, i32.shl(random.get, i32.const(13)))),
        random.set(i32.xor(random.get, i32.shr_u(random.get, i32.const(17)))),
        random.set(i32.xor(random.get, i32.shl(random.get, i32.const(5)))),
        i32Memory.store(scratch, random.get, ENGINE.random),
        ret(i32.or(i32.eq(probability.get, ALWAYS), i32.lt_u(random.get, probability.get))),
      ];
    },
  );
}
