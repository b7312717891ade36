// Pages of the kernelRings region for rings that the kernel shares with us and for ports' own rings. Control thread.
// First fit over a sorted list of free ranges: ports come and go by hand, so the list stays short.
import type { Arena } from "../memory/arena.ts";
import { PAGE_BYTES } from "../memory/region-plan.ts";
import type { PageAllocator } from "./port.ts";

interface FreeRange {
  offset: number;
  bytes: number;
}

export class ArenaPages implements PageAllocator {
  readonly #arena: Arena;
  readonly #free: FreeRange[];

  constructor(arena: Arena) {
    const { offset, bytes } = arena.region("kernelRings");
    this.#arena = arena;
    this.#free = bytes > 0 ? [{ offset, bytes }] : [];
  }

  /** Bytes that are not allocated. */
  get freeBytes(): number {
    return this.#free.reduce((sum, range) => sum + range.bytes, 0);
  }

  allocate(bytes: number): number {
    const wanted = Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
    const index = this.#free.findIndex((range) => range.bytes >= wanted);
    const range = this.#free[index];
    if (range === undefined) {
      throw new RangeError(
        `arena: no ${wanted} bytes in a row for a port's rings (${this.freeBytes} of ` +
          `${this.#arena.region("kernelRings").bytes} are free); raise memory.kernel-ring-bytes`,
      );
    }
    const { offset } = range;
    range.offset += wanted;
    range.bytes -= wanted;
    if (range.bytes === 0) this.#free.splice(index, 1);
    this.#arena.u8.fill(0, offset, offset + wanted);
    return offset;
  }

  free(offset: number, bytes: number): void {
    const size = Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
    let index = this.#free.findIndex((range) => range.offset > offset);
    if (index < 0) index = this.#free.length;
    const before = this.#free[index - 1];
    const after = this.#free[index];
    if ((before && before.offset + before.bytes > offset) || (after && offset + size > after.offset)) {
      throw new Error(`arena: ring pages at ${offset} are free already`);
    }
    this.#free.splice(index, 0, { offset, bytes: size });
    if (after && offset + size === after.offset) this.#merge(index);
    if (before && before.offset + before.bytes === offset) this.#merge(index - 1);
  }

  /** Joins the range at `index` with the one behind it. */
  #merge(index: number): void {
    this.#free[index]!.bytes += this.#free[index + 1]!.bytes;
    this.#free.splice(index + 1, 1);
  }
}
