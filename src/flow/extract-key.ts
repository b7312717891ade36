// Extraction on the control path: a packet in any Uint8Array gives a new flow key. Over the hot extractor, which wants
// packet and key in one memory, so the packet is copied in first.

import { ETH } from "../packet/link-headers.ts";
import { Extractor } from "./extract.ts";
import { ALL_LINES } from "./extract-cursor.ts";
import { KEY_BYTES } from "./fields.ts";

/** Frames begin here behind the key, so that network headers are word aligned as in the arena. */
const PACKET_AT = KEY_BYTES + 2;
const FIRST_PACKET_BYTES = 10240;

export class KeyExtractor {
  readonly #vlanLimit: number;
  #extractor: Extractor;

  /** @param vlanLimit as OVS's other_config:vlan-limit: 1, 2, or 0 for as many as the key holds. */
  constructor(vlanLimit: number) {
    this.#vlanLimit = vlanLimit;
    this.#extractor = this.#makeExtractor(FIRST_PACKET_BYTES);
  }

  /** The key of an Ethernet frame that came in on `inPort`. */
  extract(packet: Uint8Array, inPort: number): Uint8Array {
    const extractor = this.#withRoomFor(packet);
    extractor.receive(PACKET_AT, packet.length, packet.length, 0, ALL_LINES, inPort);
    return extractor.u8.slice(0, KEY_BYTES);
  }

  /**
   * The key of a packet under the metadata of `metadata`: its metadata, conntrack and tunnel fields are kept, the rest
   * is parsed. Its packet_type says whether the packet begins with an Ethernet header.
   */
  extractUnder(packet: Uint8Array, metadata: Uint8Array): Uint8Array {
    const extractor = this.#withRoomFor(packet);
    extractor.u8.set(metadata, 0);
    extractor.extract(PACKET_AT, packet.length, packet.length, 0, ALL_LINES);
    return extractor.u8.slice(0, KEY_BYTES);
  }

  /** Where the last packet's network and transport header start; NO_OFFSET when there is none. */
  get offsets(): { l3: number; l4: number } {
    return { l3: this.#extractor.l3Offset, l4: this.#extractor.l4Offset };
  }

  #withRoomFor(packet: Uint8Array): Extractor {
    if (PACKET_AT + packet.length > this.#extractor.u8.length) {
      this.#extractor = this.#makeExtractor(packet.length);
    }
    this.#extractor.u8.set(packet, PACKET_AT);
    return this.#extractor;
  }

  #makeExtractor(packetBytes: number): Extractor {
    const words = Math.ceil((PACKET_AT + Math.max(packetBytes, ETH.headerBytes)) / 4);
    const u32 = new Uint32Array(words);
    return new Extractor(
      { u8: new Uint8Array(u32.buffer), u16: new Uint16Array(u32.buffer), u32 },
      this.#vlanLimit,
    );
  }
}
