// hash: action/packet-hash.ts over the key that the packet was extracted with, for packets whose headers no action has
// changed before. The words are those of a key, so the functions read as the reference's.

import { HASH_ALG } from "../../action/attributes.ts";
import { K } from "../../flow/fields.ts";
import { NLA_HEADER_BYTES } from "../../flow/nlattr.ts";
import { BATCH } from "../../memory/batch-layout.ts";
import { swap16 } from "../../packet/bytes.ts";
import { ETH_TYPE } from "../../packet/link-headers.ts";
import { IP_PROTOCOL } from "../../packet/network-headers.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import { call, ifElse, ret, select } from "../ops/control.ts";
import type { I32, Statement } from "../ops/expression.ts";
import { emitFunction, type LocalI32 } from "../ops/function.ts";
import { i32Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import { writeMetadata } from "./act-metadata.ts";
import { type Hand, NoTemplate, type Template } from "./act-template.ts";
import type { EmitScope } from "./scope.ts";

/** eth_type and nw_proto of their common word, and nw_frag. */
const TYPE_BITS = 0xff00ffff;
const ETH_TYPE_BITS = 0xffff;
const FRAG_BITS = 0x00ff0000;

/** @param at offset of the action in the list */
export function hash(template: Template, hand: Hand, at: number): Statement[] {
  if (hand.isChanged) throw new NoTemplate();
  const argument = at + NLA_HEADER_BYTES;
  const isSymmetric = template.u16(argument) === HASH_ALG.symL4;
  const helper = isSymmetric
    ? template.code.helper("act_hash_sym_l4", (scope) => emitHash(scope, "act_hash_sym_l4", symL4))
    : template.code.helper("act_hash_l4", (scope) => emitHash(scope, "act_hash_l4", l4));
  return [
    writeMetadata(
      template,
      hand,
      K.dp_hash,
      call("i32", helper, template.key.get, template.arg(argument + 4)),
    ),
  ];
}

interface HashScope {
  /** A word of the key. */
  readonly word: (field: number) => I32;
  readonly type: LocalI32;
  readonly value: LocalI32;
  readonly mix: (word: I32) => Statement;
  readonly finish: Statement[];
}

/** name(key, basis) -> the hash, never 0. @param key less BATCH.keys */
function emitHash(scope: EmitScope, name: string, body: (hash: HashScope) => Statement[]): FunctionEntry {
  return emitFunction(
    scope.module,
    name,
    { key: "i32", basis: "i32" },
    ["i32"],
    ({ params: { key, basis: value }, locals }) => {
      const type = locals.i32("type");
      const word = (field: number): I32 => i32Memory.load(key.get, BATCH.keys + field);
      const mix = (added: I32): Statement => {
        const mixed = i32.xor(value.get, i32.mul(added, i32.const(0xcc9e2d51)));
        return value.set(i32.rotl(i32.mul(mixed, i32.const(0x1b873593)), i32.const(13)));
      };
      const spread = (shift: number): I32 => i32.xor(value.get, i32.shr_u(value.get, i32.const(shift)));
      const finish = [
        value.set(i32.mul(spread(16), i32.const(0x85ebca6b))),
        value.set(i32.mul(spread(13), i32.const(0xc2b2ae35))),
        value.set(spread(16)),
        // As in Linux, 0 says that there is none.
        ret(select(value.get, i32.const(1), value.get)),
      ];
      return [
        type.set(word(K.eth_type)),
        mix(i32.and(type.get, i32.const(TYPE_BITS))),
        ...body({ word, type, value, mix, finish }),
      ];
    },
  );
}

const isType = ({ type }: HashScope, ethType: number): I32 =>
  i32.eq(i32.and(type.get, i32.const(ETH_TYPE_BITS)), i32.const(swap16(ethType)));
const isFragment = ({ type }: HashScope): I32 => i32.and(type.get, i32.const(FRAG_BITS));

function l4(hash: HashScope): Statement[] {
  const { word, mix, finish } = hash;
  const eight = [0, 4, 8, 12, 16, 20, 24, 28].map((at) => mix(word(K.ipv6_src + at)));
  const ethernet = [0, 4, 8].map((at) => mix(word(K.eth_dst + at)));
  return [
    ifElse(
      isType(hash, ETH_TYPE.ipv4),
      [mix(word(K.nw_src)), mix(word(K.nw_dst))],
      [ifElse(isType(hash, ETH_TYPE.ipv6), eight, [...ethernet, ...finish])],
    ),
    ifElse(i32.eqz(isFragment(hash)), [mix(word(K.tp_src))]),
    ...finish,
  ];
}

function symL4(hash: HashScope): Statement[] {
  const { word, mix, finish, type } = hash;
  const four = [0, 4, 8, 12].map((at) => mix(i32.xor(word(K.ipv6_src + at), word(K.ipv6_dst + at))));
  // The two addresses are six bytes each: words 0 and 1 hold the first and a third of the second.
  const [first, middle, last] = [word(K.eth_dst), word(K.eth_dst + 4), word(K.eth_dst + 8)];
  const HALF = i32.const(16);
  const ethernet = [
    mix(i32.xor(first, i32.or(i32.shr_u(middle, HALF), i32.shl(last, HALF)))),
    mix(i32.xor(i32.and(middle, i32.const(0xffff)), i32.shr_u(last, HALF))),
  ];
  const protocol = i32.shr_u(type.get, i32.const(24));
  const hasPorts = [IP_PROTOCOL.tcp, IP_PROTOCOL.udp, IP_PROTOCOL.sctp]
    .map((number) => i32.eq(protocol, i32.const(number)))
    .reduce((any, one) => i32.or(any, one));
  const ports = word(K.tp_src);
  return [
    ifElse(
      isType(hash, ETH_TYPE.ipv4),
      [mix(i32.xor(word(K.nw_src), word(K.nw_dst)))],
      [ifElse(isType(hash, ETH_TYPE.ipv6), four, [...ethernet, ...finish])],
    ),
    // ICMP's type and code stand where ports do, and an answer has others.
    ifElse(i32.and(hasPorts, i32.eqz(isFragment(hash))), [
      mix(i32.and(i32.xor(ports, i32.shr_u(ports, HALF)), i32.const(0xffff))),
    ]),
    ...finish,
  ];
}
