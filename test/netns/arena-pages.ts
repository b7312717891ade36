// The pages of a running switch's arena, looked at from outside: which of them a kernel ring stands on, and whether each
// can be read. An arena page without a mapping would end the switch at the next read of it.
import { closeSync, openSync, readFileSync, readSync } from "node:fs";

const PAGE_BYTES = 4096;
/** Read at a time; it ends early at the first page that can't be read. */
const CHUNK_BYTES = 1 << 20;
/** What the kernel calls a mapped ring of an AF_XDP or AF_PACKET socket. */
const RING = /socket:\[/;

interface Mapping {
  readonly from: number;
  readonly to: number;
  readonly isReadable: boolean;
  readonly isRing: boolean;
}

function mappings(pid: number): Mapping[] {
  return readFileSync(`/proc/${pid}/maps`, "utf8")
    .split("\n")
    .flatMap((line) => {
      const match = /^([0-9a-f]+)-([0-9a-f]+) (....) /.exec(line);
      if (match === null) return [];
      const [from, to] = [Number.parseInt(match[1]!, 16), Number.parseInt(match[2]!, 16)];
      return [{ from, to, isReadable: match[3]!.startsWith("rw"), isRing: RING.test(line) }];
    });
}

export class ArenaPages {
  readonly #pid: number;
  readonly from: number;
  readonly to: number;

  /** Of a switch that has a port with kernel rings: the arena is what stands around them without a gap. */
  constructor(pid: number) {
    const all = mappings(pid);
    let first = all.findIndex(({ isRing }) => isRing);
    if (first < 0) throw new Error(`process ${pid} has no kernel ring in its memory`);
    let last = first;
    while (all[first - 1]?.isReadable && all[first - 1]!.to === all[first]!.from) first -= 1;
    while (all[last + 1]?.isReadable && all[last + 1]!.from === all[last]!.to) last += 1;
    this.#pid = pid;
    this.from = all[first]!.from;
    this.to = all[last]!.to;
  }

  /** Bytes of the arena that kernel rings stand on. */
  ringBytes(): number {
    return mappings(this.#pid)
      .filter(({ isRing, from, to }) => isRing && from >= this.from && to <= this.to)
      .reduce((sum, { from, to }) => sum + to - from, 0);
  }

  /** Reads the whole arena. Returns its pages. @throws Error, the system's or one that names the first bad page */
  readAll(): number {
    const fd = openSync(`/proc/${this.#pid}/mem`, "r");
    const chunk = new Uint8Array(CHUNK_BYTES);
    try {
      for (let at = this.from; at < this.to; at += CHUNK_BYTES) {
        const wanted = Math.min(CHUNK_BYTES, this.to - at);
        const read = readSync(fd, chunk, 0, wanted, at);
        if (read !== wanted) throw new Error(`the page at ${(at + read).toString(16)} can't be read`);
      }
    } finally {
      closeSync(fd);
    }
    return (this.to - this.from) / PAGE_BYTES;
  }
}
