// Pairs of megaflows that overlap with different actions: a packet that both match takes the one that the order of masks
// happens to find first.
//
// Two flows overlap when their keys agree in the bits that both masks have. For two masks A and B that is a join on the
// key under A & B: the flows of A are put into a hash table by it, those of B looked up there. So M masks and N flows
// take M * N look-ups, not N * N compares, and what is found is bounded. Flows of one mask never overlap.
//
// The work comes in slices of a bounded count of keys looked at, so that whoever runs it can do something else in between.
import { KEY_BYTES } from "../flow/fields.ts";
import type { FlowView } from "../table/flow-reader.ts";

/** Flows that a slice puts or looks up. */
const FLOWS_PER_SLICE = 128;

export interface Overlap {
  readonly flows: readonly [FlowView, FlowView];
}

interface Entry {
  readonly flow: FlowView;
  /** Equal for equal actions. */
  readonly actionsId: number;
}

/** Flows of one masked key, by their actions. */
type Bucket = Map<number, Entry[]>;

export class FlowLint {
  readonly overlaps: Overlap[] = [];
  flowCount = 0;
  readonly #groups = new Map<string, Entry[]>();
  readonly #actions = new Map<string, number>();
  readonly #overlapsMax: number;

  /** @param overlapsMax the walk ends when so many were found */
  constructor(overlapsMax: number) {
    this.#overlapsMax = overlapsMax;
  }

  get maskCount(): number {
    return this.#groups.size;
  }

  /** Whether the walk ended early. */
  get isCut(): boolean {
    return this.overlaps.length >= this.#overlapsMax;
  }

  add(flow: FlowView): void {
    const actions = latin1(flow.actions);
    let actionsId = this.#actions.get(actions);
    if (actionsId === undefined) {
      actionsId = this.#actions.size;
      this.#actions.set(actions, actionsId);
    }
    const mask = latin1(flow.mask);
    const group = this.#groups.get(mask);
    if (group === undefined) this.#groups.set(mask, [{ flow, actionsId }]);
    else group.push({ flow, actionsId });
    this.flowCount += 1;
  }

  /** Finds overlaps; yields after each slice. */
  *walk(): Generator<void> {
    const groups = [...this.#groups.values()];
    for (const [index, first] of groups.entries()) {
      for (const second of groups.slice(index + 1)) {
        if (this.isCut) return;
        yield* this.#join(first, second);
      }
    }
  }

  *#join(first: readonly Entry[], second: readonly Entry[]): Generator<void> {
    // The smaller side makes the table.
    const [built, probed] = first.length <= second.length ? [first, second] : [second, first];
    const common = new Projection(built[0]!.flow.mask, probed[0]!.flow.mask);
    const table = new Map<string, Bucket>();
    for (const [index, entry] of built.entries()) {
      put(table, common.of(entry.flow.key), entry);
      if (index % FLOWS_PER_SLICE === FLOWS_PER_SLICE - 1) yield;
    }
    for (const [index, entry] of probed.entries()) {
      const bucket = table.get(common.of(entry.flow.key));
      if (bucket !== undefined) this.#report(bucket, entry);
      if (this.isCut) return;
      if (index % FLOWS_PER_SLICE === FLOWS_PER_SLICE - 1) yield;
    }
    yield;
  }

  /** Lists of equal actions are passed over whole, so that many flows that agree cost nothing. */
  #report(bucket: Bucket, { flow, actionsId }: Entry): void {
    for (const [otherId, others] of bucket) {
      if (otherId === actionsId) continue;
      for (const other of others) {
        if (this.isCut) return;
        this.overlaps.push({ flows: [other.flow, flow] });
      }
    }
  }
}

function put(table: Map<string, Bucket>, name: string, entry: Entry): void {
  const bucket = table.get(name);
  if (bucket === undefined) {
    table.set(name, new Map([[entry.actionsId, [entry]]]));
    return;
  }
  const alike = bucket.get(entry.actionsId);
  if (alike === undefined) bucket.set(entry.actionsId, [entry]);
  else alike.push(entry);
}

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");

/** A key under what two masks have in common, as a string: only bytes that are looked at. */
class Projection {
  readonly #places: readonly number[];
  readonly #bits: readonly number[];
  readonly #bytes: Buffer;

  constructor(left: Uint8Array, right: Uint8Array) {
    const places: number[] = [];
    const bits: number[] = [];
    for (let at = 0; at < KEY_BYTES; at += 1) {
      const common = left[at]! & right[at]!;
      if (common === 0) continue;
      places.push(at);
      bits.push(common);
    }
    this.#places = places;
    this.#bits = bits;
    this.#bytes = Buffer.alloc(places.length);
  }

  of(key: Uint8Array): string {
    for (let index = 0; index < this.#places.length; index += 1) {
      this.#bytes[index] = key[this.#places[index]!]! & this.#bits[index]!;
    }
    return this.#bytes.toString("latin1");
  }
}
