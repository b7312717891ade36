// What the code for one shape of action lists is made of. It has two parts. The setup loads what is known of the packet and
// compares: it ends the pass while nothing of the packet was changed or counted, and the reference takes over. What stands
// behind it may change the packet. Facts and guards are asked for where they are needed, and stand in the setup once.
//
// Addresses. `list` is where the flow's list stands in the region of actions; an argument is a load at a constant offset.
// `head` is the packet's first byte as it came, from the start of the region of frames; what is pushed and popped moves the
// first byte by a number known here (Hand.shift), so headers behind stay where they are.
import { K, KEY_BYTES } from "../../flow/fields.ts";
import { BATCH } from "../../memory/batch-layout.ts";
import { FRAME_META_BYTES, META16, META32, PACKET_CSUM_PARTIAL } from "../../memory/frame-layout.ts";
import { swap16 } from "../../packet/bytes.ts";
import { ETH_TYPE } from "../../packet/link-headers.ts";
import { ACTION_HEADER_BYTES } from "../../table/action-store.ts";
import type { Label } from "../encoder/code.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import { brIf } from "../ops/control.ts";
import type { I32, I64, Statement } from "../ops/expression.ts";
import type { LocalI32, Locals } from "../ops/function.ts";
import { i32Memory, i64Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import type { EmitScope } from "./scope.ts";

const KEY_PER_COLUMN_BYTE = KEY_BYTES / 4;
const META_SHIFT = Math.log2(FRAME_META_BYTES);
const RAW_IPV6 = swap16(ETH_TYPE.ipv6);
const RAW_MPLS = swap16(ETH_TYPE.mpls);
const RAW_MPLS_MULTICAST = swap16(ETH_TYPE.mplsMulticast);

/** An action list has something in it that no code is made for: its packets are left to the reference. */
export class NoTemplate extends Error {}

/** What all templates of one function share. */
export class ActCode {
  readonly scope: EmitScope;
  readonly batch: LocalI32;
  /** The slot's word in the batch's first column. */
  readonly at: LocalI32;
  /** The list, from the start of the region of actions. */
  readonly list: LocalI32;
  /** The next entry of the list of outputs less ENGINE.outList, and where the list's end would stand in its terms. */
  readonly out: LocalI32;
  readonly outEnd: LocalI32;
  readonly #locals: Locals;
  readonly #shared = new Map<string, LocalI32>();
  readonly #helpers = new Map<string, FunctionEntry>();

  constructor(scope: EmitScope, locals: Locals, batch: LocalI32) {
    this.scope = scope;
    this.batch = batch;
    this.#locals = locals;
    this.at = locals.i32("at");
    this.list = locals.i32("list");
    this.out = locals.i32("out");
    this.outEnd = locals.i32("outEnd");
  }

  /** A local that templates use in turn: each sets it before it reads it. */
  local(name: string): LocalI32 {
    const known = this.#shared.get(name);
    if (known !== undefined) return known;
    const local = this.#locals.i32(name);
    this.#shared.set(name, local);
    return local;
  }

  /** A function of the module that templates call; made when the first one does. */
  helper(name: string, emit: (scope: EmitScope) => FunctionEntry): FunctionEntry {
    const known = this.#helpers.get(name) ?? emit(this.scope);
    this.#helpers.set(name, known);
    return known;
  }
}

export class Template {
  readonly code: ActCode;
  /** At most so many of each from one packet. */
  readonly most = { outputs: 0, copies: 0, drops: 0, recirculations: 0 };
  readonly #shape: Uint8Array;
  readonly #stop: Label;
  readonly #setup: Statement[] = [];
  readonly #known = new Set<string>();

  constructor(code: ActCode, shape: Uint8Array, stop: Label) {
    this.code = code;
    this.#shape = shape;
    this.#stop = stop;
  }

  get setup(): readonly Statement[] {
    return this.#setup;
  }

  get shapeBytes(): number {
    return this.#shape.length;
  }

  /** A word of the shape: an attribute's length or type, or what is the same in all lists of it. */
  u16(at: number): number {
    return this.#shape[at]! | (this.#shape[at + 1]! << 8);
  }

  u8(at: number): number {
    return this.#shape[at]!;
  }

  /** Arguments of the flow's own list, at an offset in it. */
  arg(at: number): I32 {
    return i32Memory.load(this.code.list.get, this.#argument(at));
  }
  arg16(at: number): I32 {
    return i32Memory.load16_u(this.code.list.get, this.#argument(at));
  }
  arg8(at: number): I32 {
    return i32Memory.load8_u(this.code.list.get, this.#argument(at));
  }
  arg64(at: number): I64 {
    return i64Memory.load(this.code.list.get, this.#argument(at));
  }
  arg16As64(at: number): I64 {
    return i64Memory.load16_u(this.code.list.get, this.#argument(at));
  }

  #argument(at: number): number {
    return this.code.scope.region("actions") + ACTION_HEADER_BYTES + at;
  }

  /** Ends the pass before this packet where the condition holds. */
  guard(name: string, condition: () => I32): void {
    if (this.#known.has(`guard ${name}`)) return;
    this.#known.add(`guard ${name}`);
    this.#setup.push(brIf(this.#stop, condition()));
  }

  #fact(name: string, value: () => I32): LocalI32 {
    const local = this.code.local(name);
    if (!this.#known.has(name)) {
      this.#known.add(name);
      this.#setup.push(local.set(value()));
    }
    return local;
  }

  #column(name: string, offset: number): LocalI32 {
    return this.#fact(name, () => i32Memory.load(this.code.at.get, offset));
  }

  get frame(): LocalI32 {
    return this.#column("frame", BATCH.frame);
  }
  /** Of the packet as it came, from its first byte; 0xffff when there is none. */
  get l3(): LocalI32 {
    return this.#column("l3", BATCH.l3Offset);
  }
  get l4(): LocalI32 {
    return this.#column("l4", BATCH.l4Offset);
  }

  /** The frame's record, from the start of the region of records. */
  get record(): LocalI32 {
    return this.#fact("record", () => i32.shl(this.frame.get, i32.const(META_SHIFT)));
  }
  /** The record's first word: where the data begins, and above how many there are in the first frame. */
  get dataWord(): LocalI32 {
    return this.#fact("dataWord", () => this.#recordWord(META16.dataOffset * 2));
  }
  get dataBytes(): LocalI32 {
    return this.#fact("dataBytes", () => i32.shr_u(this.dataWord.get, i32.const(16)));
  }
  get headroom(): LocalI32 {
    return this.#fact("headroom", () => i32.and(this.dataWord.get, i32.const(0xffff)));
  }
  get packetBytes(): LocalI32 {
    return this.#fact("packetBytes", () => this.#recordWord(META32.packetBytes * 4));
  }
  /** Number of frames, and the flags above. */
  get segmentsAndFlags(): LocalI32 {
    return this.#fact("segmentsAndFlags", () => this.#recordWord(META16.segmentCount * 2));
  }
  get head(): LocalI32 {
    return this.#fact("head", () => this.headOf(this.frame.get));
  }
  /** The packet's key, less BATCH.keys. */
  get key(): LocalI32 {
    const { at, batch } = this.code;
    return this.#fact("key", () =>
      i32.add(batch.get, i32.mul(i32.sub(at.get, batch.get), i32.const(KEY_PER_COLUMN_BYTE))),
    );
  }
  /** 1 when the network header is IPv6, as it was extracted; else 0. */
  get isV6(): LocalI32 {
    return this.#fact("isV6", () =>
      i32.eq(i32Memory.load16_u(this.key.get, BATCH.keys + K.eth_type), i32.const(RAW_IPV6)),
    );
  }

  /** 1 when the packet was extracted as MPLS, else 0. */
  get isMpls(): LocalI32 {
    return this.#fact("isMpls", () => {
      const type = i32Memory.load16_u(this.key.get, BATCH.keys + K.eth_type);
      return i32.or(i32.eq(type, i32.const(RAW_MPLS)), i32.eq(type, i32.const(RAW_MPLS_MULTICAST)));
    });
  }

  #recordWord(offset: number): I32 {
    return i32Memory.load(this.record.get, this.code.scope.region("frameMeta") + offset);
  }

  /** Where the data of a frame begins that has the packet's headroom. */
  headOf(frame: I32): I32 {
    const frameShift = Math.log2(this.code.scope.arena.plan.sizes.frameBytes);
    return i32.add(i32.shl(frame, i32.const(frameShift)), this.headroom.get);
  }

  /** So many bytes stand in the first frame. */
  guardBytes(bytes: number): void {
    this.guard(`bytes ${bytes}`, () => i32.lt_u(this.dataBytes.get, i32.const(bytes)));
  }

  /** So many bytes of the network header stand in the first frame. */
  guardNetwork(bytes: number): void {
    this.guard(`network ${bytes}`, () =>
      i32.gt_u(i32.add(this.l3.get, i32.const(bytes)), this.dataBytes.get),
    );
  }

  guardSingleFrame(): void {
    this.guard("single frame", () =>
      i32.ne(i32.and(this.segmentsAndFlags.get, i32.const(0xffff)), i32.const(1)),
    );
  }

  guardWholeChecksum(): void {
    const flag = PACKET_CSUM_PARTIAL << 16;
    this.guard("whole checksum", () => i32.and(this.segmentsAndFlags.get, i32.const(flag)));
  }
}

/** The packet in hand, or a copy of it that a nested list works on. */
export class Hand {
  readonly depth: number;
  /** Bytes by which the packet's first byte has moved behind where it was. */
  shift = 0;
  /** The shift that the frame's record shows. */
  recordedShift = 0;
  /** Metadata that actions have set, by their offset in a key. */
  readonly metadata = new Map<number, LocalI32>();
  /** Tags pushed and still there; the packet's own stand behind them. */
  readonly tags: "pushed"[] = [];
  /** Tags of the packet's own that are off. */
  ownTagsPopped = 0;
  /** Label stack entries pushed and still there, the packet's own that are off, and whether that is all there is to know. */
  labelsPushed = 0;
  ownLabelsPopped = 0;
  isStackUnknown = false;
  /** Whether actions have changed headers, so that the key is not the packet's any more. */
  isChanged = false;
  readonly #template: Template;

  constructor(template: Template, depth: number) {
    this.#template = template;
    this.depth = depth;
  }

  get frame(): LocalI32 {
    return this.depth === 0 ? this.#template.frame : this.#own("frame");
  }
  get record(): LocalI32 {
    return this.depth === 0 ? this.#template.record : this.#own("record");
  }
  get head(): LocalI32 {
    return this.depth === 0 ? this.#template.head : this.#own("head");
  }

  #own(name: string): LocalI32 {
    return this.#template.code.local(`${name}${this.depth}`);
  }

  /** The hand of a copy made by now, one level deeper. */
  copy(): Hand {
    return this.#successor(this.depth + 1);
  }

  /** The same hand in one of several branches. */
  fork(): Hand {
    return this.#successor(this.depth);
  }

  #successor(depth: number): Hand {
    const hand = new Hand(this.#template, depth);
    hand.shift = this.shift;
    hand.recordedShift = this.recordedShift;
    hand.tags.push(...this.tags);
    hand.ownTagsPopped = this.ownTagsPopped;
    hand.labelsPushed = this.labelsPushed;
    hand.ownLabelsPopped = this.ownLabelsPopped;
    hand.isStackUnknown = this.isStackUnknown;
    hand.isChanged = this.isChanged;
    for (const [field, local] of this.metadata) hand.metadata.set(field, local);
    return hand;
  }
}
