// Which list an action that holds lists has carried out: sample draws, check_pkt_len measures, clone and
// dec_ttl have one. Hot, per
// packet that meets one: a walk over its two or three attributes. Nothing is allocated.
import { NLA_HEADER_BYTES } from "../flow/nlattr.ts";
import type { Arena } from "../memory/arena.ts";
import { GLOBAL } from "../memory/thread-block.ts";
import { ACTION, CHECK_PKT_LEN, DEC_TTL, SAMPLE } from "./attributes.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const CLONE_ACTION = ACTION.clone;
const DEC_TTL_ACTION = ACTION.decTtl;
const EXCEPTION = DEC_TTL.action;
const SAMPLE_ACTION = ACTION.sample;
const SAMPLE_PROBABILITY = SAMPLE.probability;
const SAMPLE_ACTIONS = SAMPLE.actions;
const PKT_LEN = CHECK_PKT_LEN.pktLen;
const IF_GREATER = CHECK_PKT_LEN.actionsIfGreater;
const IF_LESS_EQUAL = CHECK_PKT_LEN.actionsIfLessEqual;
const HEADER_BYTES = NLA_HEADER_BYTES;
/** Bits of an attribute's type word that are no flags. */
const TYPE_MASK = 0x3fff;
export const ALWAYS = 0xffffffff;

export class NestedList {
  /** Arena offsets of the list that open() chose. */
  start = 0;
  end = 0;
  /**
   * With what probability a packet gets where this one is, of ALWAYS: the product of the samples around. The caller sets it
   * to ALWAYS for a new packet, and back behind a list that open() chose.
   */
  probability = ALWAYS;

  readonly #u16: Uint16Array;
  readonly #u32: Uint32Array;
  /** State of the generator, never 0. */
  #random: number;

  /** @param salt sets this instance's random numbers apart from others' */
  constructor(arena: Arena, salt: number) {
    this.#u16 = arena.u16;
    this.#u32 = arena.u32;
    const seed = arena.u32[(arena.region("globals").offset + GLOBAL.hashSeed) >>> 2]!;
    this.#random = Math.imul(seed ^ salt, 0x9e3779b1) | 1;
  }

  /**
   * Chooses the list. False when none, or an empty one, is to be carried out.
   * @param action arena offset of the action; `packetBytes` what check_pkt_len compares
   */
  open(type: number, action: number, packetBytes: number): boolean {
    if (type === CLONE_ACTION) {
      this.start = action + HEADER_BYTES;
      this.end = action + this.#u16[action >>> 1]!;
      return this.start < this.end;
    }
    if (type === DEC_TTL_ACTION) return this.#openPart(action, EXCEPTION);
    if (type === SAMPLE_ACTION) {
      const probability = this.#u32[(this.#part(action, SAMPLE_PROBABILITY) + HEADER_BYTES) >>> 2]!;
      if (!this.#draws(probability)) return false;
      this.probability = Math.floor((this.probability * probability) / ALWAYS);
      return this.#openPart(action, SAMPLE_ACTIONS);
    }
    const length = this.#u16[(this.#part(action, PKT_LEN) + HEADER_BYTES) >>> 1]!;
    return this.#openPart(action, packetBytes > length ? IF_GREATER : IF_LESS_EQUAL);
  }

  #openPart(action: number, type: number): boolean {
    const part = this.#part(action, type);
    this.start = part + HEADER_BYTES;
    this.end = part + this.#u16[part >>> 1]!;
    return this.start < this.end;
  }

  /** Validated actions have all their parts. */
  #part(action: number, type: number): number {
    const end = action + this.#u16[action >>> 1]!;
    let at = action + HEADER_BYTES;
    while (at < end && (this.#u16[(at >>> 1) + 1]! & TYPE_MASK) !== type)
      at += (this.#u16[at >>> 1]! + 3) & ~3;
    return at;
  }

  /** Marsaglia's xorshift of 32 bits (Xorshift RNGs, 2003), period 2^32 - 1. */
  #draws(probability: number): boolean {
    let random = this.#random;
    random ^= random << 13;
    random ^= random >>> 17;
    random ^= random << 5;
    this.#random = random;
    return probability === ALWAYS || random >>> 0 < probability;
  }
}
