// What an AF_XDP port lays out in the arena.
//
// A queue has a control block of its own and the pages of four kernel rings: rx, tx, fill, completion.
// Control makes the socket and maps the rings; the workers that own the receiving and the transmitting half
// read and write the ring words, whose offsets stand in the attachment.
//
// Marks. A frame that is in a ring or in the kernel carries MARK | slot << 8 | queue in the portNo word of
// its record (frame-layout.ts); a real port number never has bit 31. The side that takes the frame back
// overwrites the mark. So control finds what a closed socket still had by one walk over the records, in
// whatever order the kernel took them.

import { AFXDP_ADDRESS_BYTES, AFXDP_DESCRIPTOR_BYTES } from "../../memory/queue-layout.ts";
import { LINE_PAIR_BYTES, PAGE_BYTES } from "../../memory/region-plan.ts";
import type { XskRingWords } from "../../native.ts";
import type { QueueAttachment } from "../port.ts";

/** A queue's control block: each half's words (memory/queue-layout.ts), which different workers may own. */
export const QUEUE_BLOCK = { tx: 0, rx: LINE_PAIR_BYTES } as const;
export const QUEUE_BLOCK_BYTES = 2 * LINE_PAIR_BYTES;

/** Queues of one port: as many as a mark's eight bits tell apart. */
export const QUEUE_COUNT_MAX = 256;
const MARK = 0x8000_0000;

export const frameMark = (slot: number, queue: number): number => (MARK | (slot << 8) | queue) >>> 0;
/** The slot whose rings or kernel side hold a frame with this portNo word, -1 when it is no mark. */
export const markedSlot = (word: number): number => (word >= MARK ? (word >>> 8) & 0x7f_ffff : -1);

/** Room for the kernel's ring header; it takes three to six cache lines. */
const RING_HEADER_BYTES = 1024;
/** In a ring's flags word: the kernel wants a system call (XDP_RING_NEED_WAKEUP). */
export const NEED_WAKEUP = 1;

/**
 * Frames of one packet that a queue posts at most. 9,022 bytes in frames with 1,790 bytes of room take six,
 * and a kernel takes 18 in copy mode; drivers differ in zero-copy mode, so longer chains are packed before
 * they are posted.
 */
export const TX_SEGMENTS_MAX = 6;

export interface RingPages {
  readonly offset: number;
  readonly bytes: number;
}

/** Pages of one queue, relative to the start of the port's pages. */
export interface QueuePages {
  readonly rx: RingPages;
  readonly tx: RingPages;
  readonly fill: RingPages;
  readonly completion: RingPages;
}

const wholePages = (bytes: number): number => Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;

/** Fill rings have twice the entries: a zero-copy driver keeps a hardware ring's worth for itself. */
export const fillEntries = (ringEntries: number): number => ringEntries * 2;

/** Frames posted to a fill ring. */
export const fillPosted = (ringEntries: number, zeroCopy: boolean): number =>
  zeroCopy ? fillEntries(ringEntries) : ringEntries;

/** Frames that a port keeps in its rings and in the kernel. */
export const keptFrames = (
  { rxqCount, ringEntries }: { readonly rxqCount: number; readonly ringEntries: number },
  mode: string,
): number => rxqCount * (fillPosted(ringEntries, mode === "zero-copy") + ringEntries);

export interface PortLayout {
  readonly bytes: number;
  readonly blocks: readonly number[];
  readonly queues: readonly QueuePages[];
}

/** Where everything of a port stands, from the start of its pages. */
export function planPort(rxqCount: number, ringEntries: number): PortLayout {
  let offset = wholePages(rxqCount * QUEUE_BLOCK_BYTES);
  const take = (entries: number, entryBytes: number): RingPages => {
    const pages = { offset, bytes: wholePages(RING_HEADER_BYTES + entries * entryBytes) };
    offset += pages.bytes;
    return pages;
  };
  const queues = Array.from({ length: rxqCount }, () => ({
    rx: take(ringEntries, AFXDP_DESCRIPTOR_BYTES),
    tx: take(ringEntries, AFXDP_DESCRIPTOR_BYTES),
    fill: take(fillEntries(ringEntries), AFXDP_ADDRESS_BYTES),
    completion: take(ringEntries, AFXDP_ADDRESS_BYTES),
  }));
  const blocks = queues.map((_, queue) => queue * QUEUE_BLOCK_BYTES);
  return { bytes: offset, blocks, queues };
}

/** Arena offsets of the ring words that workers use. */
export interface RingFields {
  readonly rxProducer: number;
  readonly rxConsumer: number;
  readonly rxDesc: number;
  readonly fillProducer: number;
  readonly fillFlags: number;
  readonly fillDesc: number;
  readonly txProducer: number;
  readonly txConsumer: number;
  readonly txFlags: number;
  readonly txDesc: number;
  readonly completionProducer: number;
  readonly completionConsumer: number;
  readonly completionDesc: number;
}

/** The fields of an attachment: plain data, so that any worker can take the queue up. */
export interface AfxdpFields extends RingFields {
  readonly block: number;
  readonly fd: number;
  readonly ringEntries: number;
  readonly fillEntries: number;
  readonly fillPosted: number;
  readonly multiBuffer: boolean;
  readonly needWakeup: boolean;
}

export interface QueueRings {
  readonly rx: XskRingWords;
  readonly tx: XskRingWords;
  readonly fill: XskRingWords;
  readonly completion: XskRingWords;
}

/** The ring words of an attachment. */
export function ringFields({ rx, tx, fill, completion }: QueueRings): RingFields {
  return {
    rxProducer: rx.producer,
    rxConsumer: rx.consumer,
    rxDesc: rx.desc,
    fillProducer: fill.producer,
    fillFlags: fill.flags,
    fillDesc: fill.desc,
    txProducer: tx.producer,
    txConsumer: tx.consumer,
    txFlags: tx.flags,
    txDesc: tx.desc,
    completionProducer: completion.producer,
    completionConsumer: completion.consumer,
    completionDesc: completion.desc,
  };
}

/** An attachment carries them as a plain record; this is the one place that says what is in it. */
export const fieldsOf = ({ fields }: QueueAttachment): AfxdpFields => fields as unknown as AfxdpFields;
