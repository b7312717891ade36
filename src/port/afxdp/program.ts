// The XDP program of a port: loaded, linked to the interface, its maps. Control thread.
import {
  isNativeError,
  type Link,
  type Native,
  native,
  XDP_ATTACH,
  XDP_MODES,
  type XdpProgram,
} from "../../native.ts";
import type { KernelInterface } from "../kernel-interface.ts";

export class AttachedProgram {
  readonly #native: Native = native();
  readonly #program: XdpProgram;
  readonly #linkFd: number;
  readonly #queueCount: number;

  private constructor(program: XdpProgram, linkFd: number, queueCount: number) {
    this.#program = program;
    this.#linkFd = linkFd;
    this.#queueCount = queueCount;
  }

  /** @throws Error; when a program is there already it is named, with what ends it */
  static attach(
    target: KernelInterface,
    queueCount: number,
    multiBuffer: boolean,
    mode: keyof typeof XDP_ATTACH,
  ): AttachedProgram {
    const addon = native();
    const program = addon.bpfXdpLoad(queueCount, multiBuffer);
    try {
      const { netns, ifindex, name } = target;
      const linkFd = addon.bpfXdpAttach(netns, program.programFd, ifindex, XDP_ATTACH[mode], name);
      return new AttachedProgram(program, linkFd, queueCount);
    } catch (error) {
      for (const fd of [program.programFd, program.socketMapFd, program.counterMapFd]) addon.fdClose(fd);
      throw isOccupied(error) ? occupied(target, error as Error) : error;
    }
  }

  /** The queue's packets go to that socket from now on. */
  serve(queue: number, fd: number): void {
    this.#native.bpfSocketSet(this.#program.socketMapFd, queue, fd);
  }

  /** The queue's packets are dropped and counted from now on. */
  withdraw(queue: number): void {
    this.#native.bpfSocketDelete(this.#program.socketMapFd, queue);
  }

  /** Packets that came on queues without a socket. */
  unservedCount(): number {
    let total = 0;
    for (let slot = 0; slot <= this.#queueCount; slot += 1) {
      total += this.#native.bpfUnservedRead(this.#program.counterMapFd, slot);
    }
    return total;
  }

  /** Closing the link detaches the program. */
  close(): void {
    const { programFd, socketMapFd, counterMapFd } = this.#program;
    for (const fd of [this.#linkFd, programFd, socketMapFd, counterMapFd]) this.#native.fdClose(fd);
  }
}

/** EBUSY: a link owns the hook. EEXIST: a program was attached without a link, or in the other mode. */
export const isOccupied = (error: unknown): boolean =>
  isNativeError(error) && error.syscall === "bpf" && (error.code === "EBUSY" || error.code === "EEXIST");

function occupied(target: KernelInterface, cause: Error): Error {
  target.refresh();
  const link = target.link;
  const found = link === undefined || link.xdpProgramId === 0 ? "another program" : describeProgram(link);
  return new Error(
    `${cause.message}; ${target.name} has an XDP program already: ${found}. End the program that attached ` +
      `it, or detach it: ip link set dev ${target.name} xdp off`,
    { cause },
  );
}

function describeProgram({ xdpProgramId, xdpMode }: Link): string {
  const mode = XDP_MODES[xdpMode] ?? `mode ${xdpMode}`;
  try {
    const { name, tag } = native().bpfProgramInfo(xdpProgramId);
    return `id ${xdpProgramId} "${name}" (tag ${tag}, ${mode})`;
  } catch (error) {
    // Names are for CAP_SYS_ADMIN only, which the daemon gives up after its start.
    if (isNativeError(error)) return `id ${xdpProgramId} (${mode})`;
    throw error;
  }
}
