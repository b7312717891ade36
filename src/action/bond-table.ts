// lb_output: for each bond a table of 256 members, of which a packet takes the one that its hash points to. The table's
// writer decides who the members are (the handler, which also rebalances by the bytes that each bucket carried); workers
// read it and count.
//
// Memory: region `bonds`, written by the handler, a word for each bucket: the member's port number plus one, 0 when the bond
// has none; region `bondCounters`, this thread's bytes of each bucket, 64-bit.
import type { Arena } from "../memory/arena.ts";
import { BOND_BUCKETS, BOND_COUNT_MAX, controlThread } from "../memory/region-plan.ts";

const NO_MEMBER = 0;
const BUCKET_MASK = BOND_BUCKETS - 1;
/** What chooseMember() returns when the bond does not exist. */
export const NO_BOND = -1;

/** A worker's side. */
export class BondReader {
  readonly #arena: Arena;
  readonly #u32: Uint32Array;
  readonly #members: number;
  readonly #counters: number;

  constructor(arena: Arena, threadIndex: number) {
    this.#arena = arena;
    this.#u32 = arena.u32;
    this.#members = arena.region("bonds").offset >>> 2;
    this.#counters = bondCountersOffset(arena, threadIndex);
  }

  /** The member's port number for a packet of this hash, counted; NO_BOND when there is none. Hot. */
  chooseMember(bond: number, hash: number, packetBytes: number): number {
    if (bond >= BOND_COUNT_MAX) return NO_BOND;
    const bucket = bond * BOND_BUCKETS + (hash & BUCKET_MASK);
    const member = this.#u32[this.#members + bucket]!;
    if (member === NO_MEMBER) return NO_BOND;
    this.#arena.intrinsics.count(this.#counters + bucket * 8, packetBytes);
    return member - 1;
  }
}

/** The handler's side. */
export class BondTable {
  readonly #arena: Arena;
  readonly #members: number;

  constructor(arena: Arena) {
    this.#arena = arena;
    this.#members = arena.region("bonds").offset;
  }

  /**
   * Says which port each of the bond's BOND_BUCKETS buckets goes to; a packet sees the old member or the new one.
   * @throws RangeError when the bond's number or that of buckets is out of range
   */
  set(bond: number, portNos: ArrayLike<number>): void {
    this.#check(bond);
    if (portNos.length !== BOND_BUCKETS) {
      throw new RangeError(`bond ${bond}: ${portNos.length} buckets given, a bond has ${BOND_BUCKETS}`);
    }
    for (let bucket = 0; bucket < BOND_BUCKETS; bucket += 1) this.#store(bond, bucket, portNos[bucket]! + 1);
  }

  /** @throws RangeError as set() */
  remove(bond: number): void {
    this.#check(bond);
    for (let bucket = 0; bucket < BOND_BUCKETS; bucket += 1) this.#store(bond, bucket, NO_MEMBER);
  }

  /** Bytes that each bucket has carried, by all workers. */
  bucketBytes(bond: number): Float64Array {
    this.#check(bond);
    const bytes = new Float64Array(BOND_BUCKETS);
    for (let thread = 0; thread <= controlThread(this.#arena.plan.sizes); thread += 1) {
      const first = bondCountersOffset(this.#arena, thread) + bond * BOND_BUCKETS * 8;
      for (let bucket = 0; bucket < BOND_BUCKETS; bucket += 1)
        bytes[bucket]! += this.#arena.counter(first + bucket * 8);
    }
    return bytes;
  }

  #store(bond: number, bucket: number, word: number): void {
    this.#arena.intrinsics.store(this.#members + (bond * BOND_BUCKETS + bucket) * 4, word);
  }

  #check(bond: number): void {
    if (!Number.isInteger(bond) || bond < 0 || bond >= BOND_COUNT_MAX) {
      throw new RangeError(`bond ${bond}: bonds are numbered 0 to ${BOND_COUNT_MAX - 1}`);
    }
  }
}

function bondCountersOffset(arena: Arena, threadIndex: number): number {
  return arena.region("bondCounters").offset + threadIndex * BOND_COUNT_MAX * BOND_BUCKETS * 8;
}
