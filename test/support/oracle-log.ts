// Reads the log of the oracle's ovs-vswitchd as it grows. The daemon writes its log from a thread of its own,
// so a command's answer may come before its log lines do; the reader therefore waits for a marker that was
// logged after everything that is asked for.

import { closeSync, openSync, readSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

const READ_BYTES = 65_536;
const POLL_MILLISECONDS = 1;
/** Generous: only a daemon that died or stopped logging is ever that late. */
const WAIT_MILLISECONDS = 30_000;

export class OracleLog {
  readonly #path: string;
  readonly #descriptor: number;
  readonly #chunk = Buffer.alloc(READ_BYTES);
  #position = 0;
  #text = "";

  constructor(path: string) {
    this.#path = path;
    this.#descriptor = openSync(path, "r");
  }

  /** All that was logged since the last call up to the line that holds `marker`, that line left out. */
  async readTo(marker: string): Promise<string> {
    const end = Date.now() + WAIT_MILLISECONDS;
    for (;;) {
      this.#readMore();
      const found = this.#text.indexOf(marker);
      const lineEnd = found < 0 ? -1 : this.#text.indexOf("\n", found);
      if (lineEnd >= 0) {
        const before = this.#text.slice(0, this.#text.lastIndexOf("\n", found) + 1);
        this.#text = this.#text.slice(lineEnd + 1);
        return before;
      }
      if (Date.now() > end)
        throw new Error(`${this.#path}: no line with '${marker}'; is ovs-vswitchd alive?`);
      await delay(POLL_MILLISECONDS);
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #readMore(): void {
    for (;;) {
      const count = readSync(this.#descriptor, this.#chunk, 0, READ_BYTES, this.#position);
      if (count === 0) return;
      this.#position += count;
      this.#text += this.#chunk.toString("latin1", 0, count);
    }
  }
}
