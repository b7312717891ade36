// What the tests of ports over kernel interfaces share: packets with unfinished checksums, waiting, descriptors.
import { readdirSync } from "node:fs";
import { PACKET_CSUM_PARTIAL } from "../../src/memory/frame-layout.ts";
import type { Packets } from "../../src/memory/packets.ts";

const ETHERNET_BYTES = 14;
const IPV4_BYTES = 20;
const UDP_BYTES = 8;
const UDP_PROTOCOL = 17;
const UDP_CSUM_OFFSET = 6;
export const UDP_START = ETHERNET_BYTES + IPV4_BYTES;

export const fdCount = (): number => readdirSync("/proc/self/fd").length;
export const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

/** Waits until something is so, whatever the time it takes. */
export async function until(accept: () => boolean): Promise<void> {
  while (!accept()) await turn();
}

/** Ones' complement sum of big-endian words, not inverted. */
function sum(bytes: Uint8Array, start = 0): number {
  let total = start;
  for (let index = 0; index < bytes.length; index += 1)
    total += index % 2 === 0 ? bytes[index]! << 8 : bytes[index]!;
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

function pseudoSum(frame: Uint8Array): number {
  return sum(frame.subarray(ETHERNET_BYTES + 12, UDP_START), UDP_PROTOCOL + frame.length - UDP_START);
}

/** A UDP packet to nobody, its checksum the pseudo header's sum alone, as a host's stack leaves it. */
export function partialUdpFrame(payloadBytes: number): Uint8Array {
  const frame = new Uint8Array(UDP_START + UDP_BYTES + payloadBytes).map((_, index) => index * 7);
  const view = new DataView(frame.buffer);
  frame.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00]);
  frame.set([0x45, 0, 0, 0, 0, 1, 0, 0, 64, UDP_PROTOCOL, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2], ETHERNET_BYTES);
  view.setUint16(ETHERNET_BYTES + 2, frame.length - ETHERNET_BYTES);
  view.setUint16(ETHERNET_BYTES + 10, ~sum(frame.subarray(ETHERNET_BYTES, UDP_START)) & 0xffff);
  frame.set([0x10, 0, 0x20, 0], UDP_START);
  view.setUint16(UDP_START + 4, frame.length - UDP_START);
  view.setUint16(UDP_START + UDP_CSUM_OFFSET, pseudoSum(frame));
  return frame;
}

/** True when the UDP checksum is whole. */
export function udpChecksumHolds(frame: Uint8Array): boolean {
  return sum(frame.subarray(UDP_START), pseudoSum(frame)) === 0xffff;
}

export function markPartial(packets: Packets, frame: number): void {
  packets.setFlags(frame, PACKET_CSUM_PARTIAL);
  packets.setCsum(frame, UDP_START, UDP_CSUM_OFFSET);
}
