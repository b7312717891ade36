// Composed headers, kept in the arena for as long as the tables that they come from stay as they are. A header is found
// by the place of the set(tunnel) in the flow's actions and its bytes, because a place is used again by other flows.
//
// Hot: one probe and one comparison of some sixteen words for each packet put out of a tunnel port. A header that is
// not there is composed, on the control path's terms, once for each key and change. Memory: this thread's tunnelHeaders.

import { TUNNEL_HEADER_BYTES_MAX } from "../action/attributes.ts";
import type { Arena } from "../memory/arena.ts";
import { TUNNEL_HEADER_COUNT, TUNNEL_HEADER_STRIDE } from "../memory/region-plan.ts";
import { type ComposedHeader, composeHeader, type Unresolved } from "./compose.ts";
import { composeEgressKey } from "./egress-key.ts";
import { policyKey } from "./policy-key.ts";
import type { TunnelView } from "./state.ts";
import { readTunnelFields, readTunnelKey } from "./tunnel-key.ts";
import type { TunnelVport } from "./vport.ts";

const COUNT_MASK = TUNNEL_HEADER_COUNT - 1;
/**
 * Words of the longest set(tunnel) that is kept: all options of Geneve, addresses of IPv6, the rest. What the egress key
 * may have beside it, a source, ports, a traffic class, fits into the rest of the entry's room.
 */
const KEY_WORDS_MAX = 104;
/** A failure is looked at again so often: a neighbour is asked for again. */
export const RETRY_MILLIS = 1000;

/** What a failed composition becomes; the caller maps it to a drop reason. */
export const EGRESS_END = { none: 0, invalid: 1, unroutable: 2, unresolved: 3 } as const;

/** Told when a next hop's address has to be asked for. */
export type Resolve = (unresolved: Unresolved) => void;

export class HeaderCache {
  /** Of the entry found last. */
  readonly headerBytes = new Int32Array(TUNNEL_HEADER_COUNT);
  readonly type = new Int32Array(TUNNEL_HEADER_COUNT);
  readonly outPort = new Int32Array(TUNNEL_HEADER_COUNT);
  readonly failure = new Int32Array(TUNNEL_HEADER_COUNT);
  /** Bytes of the egress key behind the header, 0 when no route leads to where the packet is to go. */
  readonly keyBytes = new Int32Array(TUNNEL_HEADER_COUNT);

  readonly #arena: Arena;
  readonly #u32: Uint32Array;
  readonly #headers: number;
  readonly #now: Float64Array;
  readonly #resolve: Resolve;
  readonly #ports = new Int32Array(TUNNEL_HEADER_COUNT).fill(-1);
  readonly #innerTypes = new Int32Array(TUNNEL_HEADER_COUNT);
  readonly #revisions = new Int32Array(TUNNEL_HEADER_COUNT);
  readonly #keyAts = new Uint32Array(TUNNEL_HEADER_COUNT);
  readonly #keyLengths = new Int32Array(TUNNEL_HEADER_COUNT);
  readonly #keys = new Uint32Array(TUNNEL_HEADER_COUNT * KEY_WORDS_MAX);
  readonly #failedMillis = new Float64Array(TUNNEL_HEADER_COUNT);
  #revision = 1;
  #view: TunnelView;

  constructor(arena: Arena, threadIndex: number, now: Float64Array, view: TunnelView, resolve: Resolve) {
    this.#arena = arena;
    this.#u32 = arena.u32;
    this.#headers =
      arena.region("tunnelHeaders").offset + threadIndex * TUNNEL_HEADER_COUNT * TUNNEL_HEADER_STRIDE;
    this.#now = now;
    this.#view = view;
    this.#resolve = resolve;
  }

  /** Control path: everything is composed anew. */
  setView(view: TunnelView): void {
    this.#view = view;
    this.#revision += 1;
  }

  /** Control path: a port came or went. */
  invalidate(): void {
    this.#revision += 1;
  }

  /** Arena offset of an entry's header; its egress key stands TUNNEL_HEADER_BYTES_MAX behind. */
  headerAt(entry: number): number {
    return this.#headers + entry * TUNNEL_HEADER_STRIDE;
  }

  /** The key's part that depends on the packet is to be written into it (egress-key.ts). */
  egressKeyAt(entry: number): number {
    return this.headerAt(entry) + TUNNEL_HEADER_BYTES_MAX;
  }

  /**
   * The entry for packets of this kind. `failure` says whether it has a header.
   * @param keyAt arena offset of a set(tunnel)'s payload, or of tunnel fields of a flow key, 0 for the port's own key
   * @param keyLength its bytes, negative those of fields
   */
  find(vport: TunnelVport, portNo: number, innerType: number, keyAt: number, keyLength: number): number {
    const entry =
      (Math.imul(keyAt >>> 2, 0x9e3779b1) ^ Math.imul(portNo, 0x85ebca6b) ^ innerType) & COUNT_MASK;
    if (
      this.#revisions[entry] === this.#revision &&
      this.#keyAts[entry] === keyAt &&
      this.#ports[entry] === portNo &&
      this.#innerTypes[entry] === innerType &&
      this.#isSameKey(entry, keyAt, keyLength) &&
      (this.failure[entry] === EGRESS_END.none || this.#now[0]! - this.#failedMillis[entry]! < RETRY_MILLIS)
    ) {
      return entry;
    }
    this.#fill(entry, vport, portNo, innerType, keyAt, keyLength);
    return entry;
  }

  #isSameKey(entry: number, keyAt: number, keyLength: number): boolean {
    if (this.#keyLengths[entry] !== keyLength) return false;
    const words = (Math.abs(keyLength) + 3) >>> 2;
    const known = entry * KEY_WORDS_MAX;
    const word = keyAt >>> 2;
    for (let index = 0; index < words; index += 1) {
      if (this.#u32[word + index] !== this.#keys[known + index]) return false;
    }
    return true;
  }

  /** Control path in kind: allocates. */
  #fill(
    entry: number,
    vport: TunnelVport,
    portNo: number,
    innerType: number,
    keyAt: number,
    keyLength: number,
  ): void {
    this.#revisions[entry] = this.#revision;
    this.#keyAts[entry] = keyAt;
    this.#keyLengths[entry] = keyLength;
    this.#ports[entry] = portNo;
    this.#innerTypes[entry] = innerType;
    this.failure[entry] = EGRESS_END.invalid;
    this.keyBytes[entry] = 0;
    this.#failedMillis[entry] = this.#now[0]!;
    const keyBytes = Math.abs(keyLength);
    if (keyBytes > KEY_WORDS_MAX * 4) return;
    const words = (keyBytes + 3) >>> 2;
    this.#keys.set(this.#u32.subarray(keyAt >>> 2, (keyAt >>> 2) + words), entry * KEY_WORDS_MAX);
    const bytes = this.#arena.u8.slice(keyAt, keyAt + keyBytes);
    const setKey = keyLength < 0 ? readTunnelFields(bytes) : readTunnelKey(bytes);
    const key = keyAt === 0 ? policyKey(vport) : setKey;
    if (key === undefined) return;
    const composition = composeHeader(vport, key, innerType, this.#view);
    if (composition.kind === "header") this.#keep(entry, composition);
    else this.failure[entry] = EGRESS_END[composition.kind];
    if (composition.kind === "header" || composition.kind === "unresolved") {
      const egressKey = composeEgressKey(vport, key, composition.source, keyAt === 0);
      this.keyBytes[entry] = egressKey.length;
      this.#arena.u8.set(egressKey, this.egressKeyAt(entry));
    }
    if (composition.kind === "unresolved") this.#resolve(composition);
  }

  #keep(entry: number, header: ComposedHeader): void {
    this.failure[entry] = EGRESS_END.none;
    this.headerBytes[entry] = header.bytes.length;
    this.type[entry] = header.type;
    this.outPort[entry] = header.outPort;
    this.#arena.u8.set(header.bytes, this.headerAt(entry));
  }
}
