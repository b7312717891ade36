// What the socket tests share: a small arena, and a peer that sends and receives whole frames on an
// interface.
import { native } from "../../src/native.ts";
import type { VethEnd } from "./netns.ts";

const ARENA_BYTES = 32 << 20;
const WASM_PAGE_BYTES = 65536;
const RING_AT = 1 << 20;
const BLOCK_BYTES = 1 << 17;
const BLOCK_COUNT = 8;
/** tpacket_block_desc and tpacket3_hdr of linux/if_packet.h. */
const BLOCK = { status: 8, packetCount: 12, firstPacket: 16 };
const PACKET = { next: 0, length: 12, macOffset: 24 };

export class TestArena {
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly view: DataView;

  constructor(bytes = ARENA_BYTES) {
    const pages = bytes / WASM_PAGE_BYTES;
    const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.u8 = new Uint8Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.view = new DataView(buffer);
  }
}

/** A frame of a private EtherType with a payload that its number decides. */
export function testFrame(number: number, bytes = 64): Uint8Array {
  const frame = new Uint8Array(bytes);
  const head = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5, number >> 8, number & 0xff];
  frame.set(head.slice(0, bytes));
  for (let at = 16; at < bytes; at += 1) frame[at] = (at * 31 + number) & 0xff;
  return frame;
}

/** Sends and receives on an interface by AF_PACKET, with an arena of its own. */
export class Peer {
  readonly fd: number;
  readonly arena = new TestArena();
  readonly ifindex: number;
  #block = 0;

  constructor(end: VethEnd, vnetHeader = false) {
    const addon = native();
    const netns = addon.netnsOpen(end.namespace);
    const links = addon.linkOpen(netns);
    this.ifindex = addon.linkByName(links, end.name)!.ifindex;
    addon.fdClose(links);
    this.fd = addon.packetOpen(netns, vnetHeader, false);
    addon.packetMapRing(this.fd, this.arena.u8, RING_AT, BLOCK_BYTES, BLOCK_COUNT, 1);
    addon.packetBind(this.fd, this.ifindex, end.name);
    addon.packetSetPromiscuous(this.fd, this.ifindex, end.name);
  }

  /** Sends frames; each may be a list of parts that leave as one frame. */
  send(frames: readonly (Uint8Array | readonly Uint8Array[])[]): number {
    let data = 1 << 16;
    let segment = 0;
    for (const frame of frames) {
      const parts = frame instanceof Uint8Array ? [frame] : frame;
      for (const [index, part] of parts.entries()) {
        this.arena.u8.set(part, data);
        this.arena.u32[segment * 2] = data;
        this.arena.u32[segment * 2 + 1] = part.length + (index + 1 < parts.length ? 0x8000_0000 : 0);
        segment += 1;
        data += part.length;
      }
    }
    return native().packetSend(this.fd, this.arena.u8, 0, segment);
  }

  /** Waits until `count` frames came, whatever the time it takes. */
  async receive(count: number): Promise<Uint8Array[]> {
    const frames: Uint8Array[] = [];
    while (frames.length < count) {
      const got = this.#takeBlock();
      frames.push(...got);
      if (got.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return frames;
  }

  #takeBlock(): Uint8Array[] {
    const { view, u8 } = this.arena;
    const block = RING_AT + this.#block * BLOCK_BYTES;
    if ((view.getUint32(block + BLOCK.status, true) & 1) === 0) return [];
    const frames: Uint8Array[] = [];
    let at = block + view.getUint32(block + BLOCK.firstPacket, true);
    for (let left = view.getUint32(block + BLOCK.packetCount, true); left > 0; left -= 1) {
      const mac = at + view.getUint16(at + PACKET.macOffset, true);
      frames.push(u8.slice(mac, mac + view.getUint32(at + PACKET.length, true)));
      at += view.getUint32(at + PACKET.next, true);
    }
    view.setUint32(block + BLOCK.status, 0, true);
    this.#block = (this.#block + 1) % BLOCK_COUNT;
    return frames;
  }

  close(): void {
    const addon = native();
    addon.fdClose(this.fd);
    addon.pagesMapAnonymous(this.arena.u8, RING_AT, BLOCK_BYTES * BLOCK_COUNT);
  }
}
