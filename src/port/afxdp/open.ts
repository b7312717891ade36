// Opening an afxdp port: the modes in order, each with its program and its sockets, until one works. Control
// thread.
//
// The program is attached once for each hook (the driver's, then the generic one) and the sockets are bound
// in zero-copy and in copy mode under it, since attaching resets the link on some drivers.
import { type Native, native } from "../../native.ts";
import type { KernelInterface } from "../kernel-interface.ts";
import type { PageAllocator, PortContext } from "../port.ts";
import { checkMtu, setChannels, singleFrameMtu } from "./interface.ts";
import { keptFrames, type PortLayout, planPort, type QueuePages, type RingPages } from "./layout.ts";
import type { AfxdpOptions, UsedMode, WantedMode } from "./options.ts";
import { AttachedProgram, isOccupied } from "./program.ts";
import { AfxdpSocket } from "./socket.ts";

/** The port's part of the kernelRings region. */
export interface PortPages {
  readonly offset: number;
  readonly layout: PortLayout;
}

export interface OpenedMode {
  readonly mode: UsedMode;
  readonly multiBuffer: boolean;
  readonly program: AttachedProgram;
  readonly sockets: readonly AfxdpSocket[];
  /** Keeps the interface promiscuous for as long as it is open. */
  readonly promiscuousFd: number;
}

interface Hook {
  readonly attach: "native" | "generic";
  readonly modes: readonly UsedMode[];
}

const HOOKS: Readonly<Record<WantedMode, readonly Hook[]>> = {
  auto: [
    { attach: "native", modes: ["zero-copy", "native"] },
    { attach: "generic", modes: ["generic"] },
  ],
  "zero-copy": [{ attach: "native", modes: ["zero-copy"] }],
  native: [{ attach: "native", modes: ["native"] }],
  generic: [{ attach: "generic", modes: ["generic"] }],
};

/** @throws RangeError naming memory.kernel-ring-bytes */
export function takePages(allocator: PageAllocator, { rxqCount, ringEntries }: AfxdpOptions): PortPages {
  const layout = planPort(rxqCount, ringEntries);
  return { offset: allocator.allocate(layout.bytes), layout };
}

/** @throws Error that says for each mode why it didn't work; nothing stays attached, bound or mapped */
export async function openInBestMode(
  context: PortContext,
  slot: number,
  target: KernelInterface,
  options: AfxdpOptions,
  pages: PortPages,
): Promise<OpenedMode> {
  const link = target.link!;
  checkMtu(link);
  setChannels(target, options.rxqCount);
  if (!link.up) native().linkSetUp(target.linkFd, target.ifindex, true, target.name);
  const singleMtu = singleFrameMtu(context.arena.plan.sizes.frameBytes);
  const multiBuffer = link.mtu > singleMtu;
  const failures: string[] = [];
  for (const hook of HOOKS[options.mode]) {
    const opened = await openUnderHook(context, slot, target, options, pages, hook, multiBuffer, failures);
    if (opened !== undefined) return opened;
  }
  const remedy = multiBuffer
    ? `; MTU ${link.mtu} needs packets in several buffers: where driver or kernel can't, ` +
      `ip link set dev ${target.name} mtu ${singleMtu}`
    : "";
  throw new Error(`AF_XDP can't be had on ${target.name}: ${failures.join("; ")}${remedy}`);
}

/** Tries the modes of one hook; undefined, with the reasons added to `failures`, when none works. */
async function openUnderHook(
  context: PortContext,
  slot: number,
  target: KernelInterface,
  options: AfxdpOptions,
  pages: PortPages,
  hook: Hook,
  multiBuffer: boolean,
  failures: string[],
): Promise<OpenedMode | undefined> {
  let program: AttachedProgram;
  try {
    program = AttachedProgram.attach(target, options.rxqCount, multiBuffer, hook.attach);
  } catch (error) {
    // A program that is there stands in the way of every mode.
    if (isOccupied((error as Error).cause)) throw error;
    failures.push(`${hook.attach}: ${(error as Error).message}`);
    return undefined;
  }
  for (const mode of hook.modes) {
    const sockets: AfxdpSocket[] = [];
    try {
      context.frames.claim(slot, keptFrames(options, mode));
      await openSockets(context, target, options, pages, mode, multiBuffer, sockets);
      const promiscuousFd = openPromiscuous(native(), target);
      for (const [queue, { fd }] of sockets.entries()) program.serve(queue, fd);
      return { mode, multiBuffer, program, sockets, promiscuousFd };
    } catch (error) {
      for (const socket of sockets) socket.close();
      failures.push(`${mode}: ${(error as Error).message}`);
    }
  }
  program.close();
  return undefined;
}

/** Opens a socket for each queue and adds it to `sockets`, which the caller closes when it throws. */
async function openSockets(
  context: PortContext,
  target: KernelInterface,
  { rxqCount, ringEntries, needWakeup }: AfxdpOptions,
  pages: PortPages,
  mode: UsedMode,
  multiBuffer: boolean,
  sockets: AfxdpSocket[],
): Promise<void> {
  const umemClass = { zeroCopy: mode === "zero-copy", multiBuffer, needWakeup };
  for (let queue = 0; queue < rxqCount; queue += 1) {
    const socket = await AfxdpSocket.open({
      arena: context.arena,
      netns: target.netns,
      ifindex: target.ifindex,
      interfaceName: target.name,
      queue,
      ringEntries,
      pages: moveBy(pages.layout.queues[queue]!, pages.offset),
      umemClass,
    });
    sockets.push(socket);
  }
}

function moveBy({ rx, tx, fill, completion }: QueuePages, offset: number): QueuePages {
  const move = (pages: RingPages): RingPages => ({ offset: pages.offset + offset, bytes: pages.bytes });
  return { rx: move(rx), tx: move(tx), fill: move(fill), completion: move(completion) };
}

/**
 * A switch receives what is addressed to others. The socket is bound to nothing: it only keeps the interface
 * so.
 */
function openPromiscuous(addon: Native, { netns, ifindex, name }: KernelInterface): number {
  const fd = addon.packetOpen(netns, false, false);
  try {
    addon.packetSetPromiscuous(fd, ifindex, name);
    return fd;
  } catch (error) {
    addon.fdClose(fd);
    throw error;
  }
}
