// The attributes of one level of a key or mask while they become a flow key: which are there, which were called for,
// and the first thing that was wrong. Going into encap() replaces the level.

import { attributeAt, NLA_HEADER_BYTES } from "../nlattr.ts";
import { KEY_ATTR_ROWS } from "./attributes.ts";
import type { KeyFit, KeyProblem } from "./fit.ts";

/** Where an attribute's payload lies. */
interface Place {
  readonly at: number;
  readonly start: number;
  readonly end: number;
}

const nameOf = (type: number): string => KEY_ATTR_ROWS[type]?.name ?? `attribute ${type}`;

export interface ReadOptions {
  /** VLAN tags that a key may have, as in other_config:vlan-limit: 0 for as many as there can be. */
  readonly vlanLimit: number;
  /**
   * Whether headers may be missing from the key that the mask does not look at, because printing leaves them out.
   * OVS calls such a key too little.
   */
  readonly acceptVanished: boolean;
}

export class AttributeReader {
  readonly source: Uint8Array;
  /** The key or mask being filled. */
  readonly target: Uint8Array;
  /** The key that the mask belongs to; `target` itself when a key is read. */
  readonly flow: Uint8Array;
  readonly isMask: boolean;
  readonly options: ReadOptions;
  problem: KeyProblem | undefined;
  readonly #present = new Map<number, Place>();
  readonly #expected = new Set<number>();
  #path = "";

  constructor(source: Uint8Array, target: Uint8Array, flow: Uint8Array, options: ReadOptions) {
    this.source = source;
    this.target = target;
    this.flow = flow;
    this.isMask = target !== flow;
    this.options = options;
  }

  /** Enters the level between two offsets. @returns false when it is malformed */
  open(start: number, end: number, path: string): boolean {
    this.#present.clear();
    this.#expected.clear();
    this.#path = path;
    let next = start;
    while (next < end) {
      const attribute = attributeAt(this.source, next, end);
      if (attribute === undefined) {
        this.#report(next, path, `${end - next} bytes are no whole attribute`, "attributes to the end");
        return false;
      }
      const { type } = attribute;
      const row = KEY_ATTR_ROWS[type];
      const payloadBytes = attribute.end - attribute.start;
      const isDuplicate = this.#present.has(type);
      this.#present.set(type, attribute);
      if (isDuplicate) {
        this.fail(type, `${nameOf(type)} is there twice`, "each attribute once");
        return false;
      }
      if (typeof row?.payload === "number" && payloadBytes !== row.payload) {
        this.fail(type, `${nameOf(type)} has ${payloadBytes} bytes`, `${row.payload} bytes`);
        return false;
      }
      next = attribute.next;
    }
    return true;
  }

  /** Enters an attribute's payload. */
  enter(type: number): boolean {
    const { start, end } = this.#present.get(type)!;
    return this.open(start, end, this.pathOf(type));
  }

  has(type: number): boolean {
    return this.#present.has(type);
  }

  payload(type: number): Uint8Array {
    const { start, end } = this.#present.get(type)!;
    return this.source.subarray(start, end);
  }

  /** Offset of a nested attribute's payload in the source, for the problems inside. */
  payloadAt(type: number): number {
    return this.#present.get(type)!.start;
  }

  /** The attribute belongs to this flow: its absence from a key is too little, its presence not too much. */
  expect(type: number): void {
    this.#expected.add(type);
  }

  /** As `expect` for an attribute that is there, and nothing when it is not. */
  accept(type: number): boolean {
    if (!this.#present.has(type)) return false;
    this.#expected.add(type);
    return true;
  }

  /** Compares what is there with what was called for. */
  check(): KeyFit {
    for (const type of this.#expected) {
      if (this.#present.has(type) || this.options.acceptVanished) continue;
      const name = nameOf(type);
      this.fail(type, `${name} is missing, which the attributes before it call for`, `${name}(...)`);
      return "too_little";
    }
    for (const type of this.#present.keys()) {
      if (this.#expected.has(type)) continue;
      const name = nameOf(type);
      this.fail(type, `${name} belongs to no header of this flow`, `the attributes without ${name}`);
      return "too_much";
    }
    return "perfect";
  }

  pathOf(type: number): string {
    const name = nameOf(type);
    return this.#path === "" ? name : `${this.#path}/${name}`;
  }

  /** Notes the first problem and answers `error`. */
  fail(type: number, rule: string, accepted: string): "error" {
    const place = this.#present.get(type);
    this.#report(place?.at ?? this.source.length, this.pathOf(type), rule, accepted);
    return "error";
  }

  /** As `fail` for an attribute nested in one of this level. */
  failInside(type: number, name: string, start: number, rule: string, accepted: string): "error" {
    this.#report(start - NLA_HEADER_BYTES, `${this.pathOf(type)}/${name}`, rule, accepted);
    return "error";
  }

  #report(byteOffset: number, path: string, rule: string, accepted: string): void {
    this.problem ??= { what: this.isMask ? "mask" : "key", path, byteOffset, rule, accepted };
  }
}
