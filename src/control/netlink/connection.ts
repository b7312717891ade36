// One program at the netlink socket: its messages out of the stream, one after the other, and what goes to it.
//
// Answers wait until the program reads: a dump that nobody reads stands still and takes no memory. What nobody asked for
// (upcalls, notices) never waits: it has a bounded queue, and what finds no room is lost, which the program is told in
// an NLMSG_OVERRUN with the count before the next message that reaches it.
import type { Socket } from "node:net";
import { MessageFramer } from "../../netlink/framer.ts";
import { encodeMessage, type NetlinkMessage, NLMSG } from "../../netlink/message.ts";

/** Notices to one program that wait to be read: as much as the receive buffers of OVS's netlink sockets. */
const NOTICE_BYTES_MAX = 1 << 20;

export class Connection {
  readonly pids = new Set<number>();
  readonly groups = new Set<number>();
  /** Messages that found no room, ever. */
  lostCount = 0;
  readonly #socket: Socket;
  #lostSince = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed;
  }

  /**
   * Hands each message on, the next one when the one before is answered.
   * @throws NetlinkError when the stream is out of step
   */
  async serve(answer: (message: NetlinkMessage) => Promise<void>): Promise<void> {
    const framer = new MessageFramer();
    for await (const chunk of this.#socket) {
      for (const message of framer.push(chunk as Buffer)) await answer(message);
    }
  }

  /** Sends an answer and waits until there is room for the next one, or nobody to read it. */
  async send(bytes: Uint8Array): Promise<void> {
    if (!this.isOpen || this.#socket.write(bytes)) return;
    await new Promise<void>((resume) => {
      const done = (): void => {
        this.#socket.off("drain", done);
        this.#socket.off("close", done);
        resume();
      };
      this.#socket.on("drain", done);
      this.#socket.on("close", done);
    });
  }

  /** Sends what nobody asked for, which somebody else has bounded. @param written called when the system has it */
  deliver(bytes: Uint8Array, written: () => void): void {
    if (!this.isOpen) {
      written();
      return;
    }
    this.#tellLoss();
    this.#socket.write(bytes, () => written());
  }

  /** Sends what nobody asked for, if there is room. */
  notify(bytes: Uint8Array): void {
    if (!this.isOpen) return;
    if (this.#socket.writableLength + bytes.length > NOTICE_BYTES_MAX) {
      this.countLoss(1);
      return;
    }
    this.#tellLoss();
    this.#socket.write(bytes);
  }

  /** Messages for it found no room. */
  countLoss(messages: number): void {
    this.lostCount += messages;
    this.#lostSince += messages;
  }

  close(): void {
    this.#socket.destroy();
  }

  #tellLoss(): void {
    if (this.#lostSince === 0) return;
    const payload = new Uint8Array(4);
    new DataView(payload.buffer).setUint32(0, this.#lostSince, true);
    this.#lostSince = 0;
    this.#socket.write(encodeMessage({ type: NLMSG.overrun, flags: 0, sequence: 0, pid: 0 }, payload));
  }
}
