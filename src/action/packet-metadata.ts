// The metadata of the packet in hand that actions write: port, recirc_id, packet_type, dp_hash and the two marks. The key in
// the batch's slot stays as it was extracted; these words begin as that key's, and go into the key that an upcall
// reports and into that of a packet that recirculates.
//
// Hot, but only for packets whose actions touch metadata: everything is loaded at the first of them. save() and
// restore() put a nested list in brackets, so that what it changes does not leak out. Nothing is allocated.
import { K } from "../flow/fields.ts";
import { ACTION_DEPTH_MAX } from "./attributes.ts";

/** Words of the key. */
const WORDS = [K.recirc_id, K.packet_type, K.dp_hash, K.skb_priority, K.skb_mark, K.in_port].map(
  (offset) => offset / 4,
);
const WORD_COUNT = WORDS.length;
const RECIRC_ID = K.recirc_id / 4;
/** Indices of the words here. */
export const META = { recircId: 0, packetType: 1, dpHash: 2, skbPriority: 3, skbMark: 4, inPort: 5 } as const;

export class PacketMetadata {
  readonly #u32: Uint32Array;
  readonly #words = new Uint32Array(WORD_COUNT);
  readonly #saved = new Uint32Array((ACTION_DEPTH_MAX + 1) * (WORD_COUNT + 1));
  #savedCount = 0;
  /** Word index of the slot's key. */
  #key = 0;
  #isLoaded = false;

  constructor(u32: Uint32Array) {
    this.#u32 = u32;
  }

  /** A new packet. @param key arena offset of its slot's key */
  begin(key: number): void {
    this.#key = key >>> 2;
    this.#isLoaded = false;
  }

  get(word: number): number {
    return this.#isLoaded ? this.#words[word]! : this.#u32[this.#key + WORDS[word]!]!;
  }

  set(word: number, value: number): void {
    if (!this.#isLoaded) this.#load();
    this.#words[word] = value;
  }

  /** As of a packet that has just come in on a port. */
  reset(portNo: number): void {
    this.#words.fill(0);
    this.#words[META.inPort] = portNo;
    this.#isLoaded = true;
  }

  /** Writes what changed into another key, that of a packet that recirculates. @param key its arena offset */
  store(key: number, recircId: number): void {
    if (this.#isLoaded) {
      for (let index = 0; index < WORD_COUNT; index += 1)
        this.#u32[(key >>> 2) + WORDS[index]!] = this.#words[index]!;
    }
    this.#u32[(key >>> 2) + RECIRC_ID] = recircId;
  }

  /**
   * Trades the slot's key its metadata for those here, so that an upcall reports them as they are by now; the same call
   * again takes them back.
   */
  exchange(): void {
    if (!this.#isLoaded) return;
    for (let index = 0; index < WORD_COUNT; index += 1) {
      const at = this.#key + WORDS[index]!;
      const word = this.#u32[at]!;
      this.#u32[at] = this.#words[index]!;
      this.#words[index] = word;
    }
  }

  save(): void {
    const at = this.#savedCount * (WORD_COUNT + 1);
    this.#savedCount += 1;
    this.#saved[at] = this.#isLoaded ? 1 : 0;
    if (this.#isLoaded) this.#saved.set(this.#words, at + 1);
  }

  restore(): void {
    this.#savedCount -= 1;
    const at = this.#savedCount * (WORD_COUNT + 1);
    this.#isLoaded = this.#saved[at] === 1;
    if (!this.#isLoaded) return;
    for (let index = 0; index < WORD_COUNT; index += 1) this.#words[index] = this.#saved[at + 1 + index]!;
  }

  #load(): void {
    for (let index = 0; index < WORD_COUNT; index += 1)
      this.#words[index] = this.#u32[this.#key + WORDS[index]!]!;
    this.#isLoaded = true;
  }
}
