// Sends frames from inside a namespace through AF_PACKET, as fast as the kernel takes them, waiting when it does not.
import { setTimeout as sleep } from "node:timers/promises";
import { ERRNO, native } from "../../src/native.ts";
import type { Host } from "./switch-rig.ts";

const SLOT_BYTES = 2048;
const BURST = 32;
const PAUSE_MILLIS = 2;

/** The interface that frames were sent through is down or no longer there. */
export class InterfaceGoneError extends Error {}

const GONE: ReadonlySet<number> = new Set([ERRNO.ENETDOWN, ERRNO.ENXIO]);

export class FrameSender {
  readonly #fd: number;
  readonly #arena = new Uint8Array(BURST * SLOT_BYTES + BURST * 8);
  readonly #segments = new Uint32Array(this.#arena.buffer, BURST * SLOT_BYTES);

  constructor(host: Host) {
    const addon = native();
    const netns = addon.netnsOpen(host.namespace);
    const linkFd = addon.linkOpen(netns);
    const link = addon.linkByName(linkFd, host.device);
    addon.fdClose(linkFd);
    if (link === undefined) throw new Error(`${host.device} is not in ${host.namespace}`);
    this.#fd = addon.packetOpen(netns, false, true);
    addon.packetBind(this.#fd, link.ifindex, host.device);
  }

  /** Sends every frame, a burst at a time with a pause between, so that no queue on the way overflows. */
  async send(frames: Iterable<Uint8Array>): Promise<void> {
    let count = 0;
    for (const frame of frames) {
      this.#arena.set(frame, count * SLOT_BYTES);
      this.#segments[count * 2] = count * SLOT_BYTES;
      this.#segments[count * 2 + 1] = frame.length;
      count += 1;
      if (count === BURST) {
        await this.#flush(count);
        count = 0;
      }
    }
    await this.#flush(count);
  }

  async #flush(count: number): Promise<void> {
    for (let sent = 0; sent < count; ) {
      const result = native().packetSend(this.#fd, this.#arena, BURST * SLOT_BYTES + sent * 8, count - sent);
      if (result > 0) sent += result;
      else if (GONE.has(-result)) throw new InterfaceGoneError(`packetSend: errno ${-result}`);
      else if (-result !== ERRNO.EAGAIN && -result !== ERRNO.ENOBUFS)
        throw new Error(`packetSend: errno ${-result}`);
      await sleep(PAUSE_MILLIS);
    }
  }

  close(): void {
    native().fdClose(this.#fd);
  }
}
