// What each bucket of a bond carries: bytes as an average that forgets half at every rebalance, as OVS's, so that one
// burst does not move a bucket to and fro.
import { BOND_BUCKETS } from "../../memory/region-plan.ts";
import type { BucketLoad } from "./rebalance.ts";

export class BucketCharge {
  readonly #bytes = new Float64Array(BOND_BUCKETS);
  /** Totals at the last look, of buckets whose bytes are counted elsewhere. */
  readonly #seen = new Float64Array(BOND_BUCKETS);

  add(bucket: number, bytes: number): void {
    this.#bytes[bucket]! += bytes;
  }

  /** Adds what a counter grew by since the last call. */
  addTotal(bucket: number, totalBytes: number): void {
    this.add(bucket, totalBytes - this.#seen[bucket]!);
    this.#seen[bucket] = totalBytes;
  }

  bytes(bucket: number): number {
    return this.#bytes[bucket]!;
  }

  /** Buckets that carry something. */
  loads(): BucketLoad[] {
    return [...this.#bytes.entries()].flatMap(([bucket, bytes]) => (bytes > 0 ? [{ bucket, bytes }] : []));
  }

  decay(): void {
    for (const [bucket, bytes] of this.#bytes.entries()) this.#bytes[bucket] = Math.floor(bytes / 2);
  }
}
