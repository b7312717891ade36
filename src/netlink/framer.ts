// Messages out of a stream: each frames itself by its length and begins on a multiple of four bytes.
import { alignAttribute } from "../flow/nlattr.ts";
import { messageAt, type NetlinkMessage } from "./message.ts";

const FIRST_CAPACITY_BYTES = 4096;

export class MessageFramer {
  #buffer = new Uint8Array(FIRST_CAPACITY_BYTES);
  #size = 0;

  /** Bytes that wait for the rest of their message: less than one message. */
  get pendingBytes(): number {
    return this.#size;
  }

  /**
   * Takes a piece of the stream. Returns the messages that it completes, in copies.
   * @throws NetlinkError when a length word cannot be one: the stream is out of step and stays so
   */
  push(chunk: Uint8Array): NetlinkMessage[] {
    this.#append(chunk);
    const messages: NetlinkMessage[] = [];
    let at = 0;
    for (;;) {
      const message = messageAt(this.#buffer.subarray(0, this.#size), at);
      // The padding belongs to the message: without it the next one's place is not reached.
      if (message === undefined || at + alignAttribute(message.bytes.length) > this.#size) break;
      messages.push({ ...message, bytes: message.bytes.slice() });
      at += alignAttribute(message.bytes.length);
    }
    this.#buffer.copyWithin(0, at, this.#size);
    this.#size -= at;
    return messages;
  }

  /** Doubles, so that a message in many small pieces is not copied for each of them. */
  #append(chunk: Uint8Array): void {
    const needed = this.#size + chunk.length;
    if (needed > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
      grown.set(this.#buffer.subarray(0, this.#size));
      this.#buffer = grown;
    }
    this.#buffer.set(chunk, this.#size);
    this.#size = needed;
  }
}
