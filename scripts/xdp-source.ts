// A source and a sink of XDP frames for benchmarks between veth pairs: frames that never were socket buffers, sent as
// fast as one CPU makes them, and a program that counts what arrives and drops it.
//
// The source is a thread of its own, pinned: one call of the kernel sends a million frames and takes a good part of a
// second. What happens to them in soft interrupts (the switch's receive path) runs on the same CPU.
import { once } from "node:events";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { native, XDP_ATTACH, type XdpProgram } from "../src/native.ts";
import { buildFrame, padFrame } from "../src/packet/builder.ts";
import { ethernet } from "../src/packet/builder-link.ts";
import { ipv4 } from "../src/packet/builder-network.ts";
import { udp } from "../src/packet/builder-transport.ts";
import type { Lab, VethEnd } from "../test/support/netns.ts";

/** 64 bytes on the wire: the frame check sequence is not in memory. */
const FRAME_BYTES = 60;
/** Low byte of the UDP source port: Ethernet and IPv4 header, then the port's second byte. Six bits of it are random. */
const RANDOM_AT = 14 + 20 + 1;
/** Setting a call up costs as much as thousands of frames. */
const FRAMES_PER_CALL = 1 << 20;
const WASM_PAGE_BYTES = 65536;

interface SourceTask {
  readonly namespace: string;
  readonly device: string;
  readonly cpu: number;
  /** Word 0: another value than 0 ends the thread after the call it is in. */
  readonly stop: Int32Array;
}

function sendUntilStopped({ namespace, device, cpu, stop }: SourceTask): void {
  const addon = native();
  // Before netnsOpen, whose thread makes the calls and inherits the CPU.
  addon.threadSetAffinity([cpu]);
  const netns = addon.netnsOpen(namespace);
  const links = addon.linkOpen(netns);
  const link = addon.linkByName(links, device);
  if (link === undefined) throw new Error(`source: no interface ${device} in ${namespace}`);
  const program = addon.bpfSourceLoad(link.ifindex, RANDOM_AT);
  const { buffer } = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const memory = new Uint8Array(buffer, 0, WASM_PAGE_BYTES);
  memory.set(
    padFrame(
      buildFrame([
        ethernet(),
        ipv4({ src: "10.0.0.1", dst: "172.16.0.1" }),
        udp({ src: 4096, dst: 8192, checksum: 0 }),
      ]),
      FRAME_BYTES,
    ),
  );
  while (Atomics.load(stop, 0) === 0) {
    addon.bpfSourceRun(netns, program, memory, 0, FRAME_BYTES, FRAMES_PER_CALL);
  }
  for (const fd of [program, links]) addon.fdClose(fd);
}

export class XdpSource {
  readonly #lab: Lab;
  readonly #end: VethEnd;
  readonly #stop = new Int32Array(new SharedArrayBuffer(4));
  readonly #worker: Worker;

  /** Starts to send out of a veth end whose peer polls (an XDP program does). */
  constructor(lab: Lab, end: VethEnd, cpu: number) {
    this.#lab = lab;
    this.#end = end;
    const task: SourceTask = { namespace: end.namespace, device: end.name, cpu, stop: this.#stop };
    this.#worker = new Worker(new URL(import.meta.url), { workerData: task });
  }

  /** Frames that were offered to the peer so far: taken, or refused because its ring was full. */
  offered(): number {
    const text = this.#lab.run(this.#end.namespace, "ethtool", "-S", this.#end.name);
    let frames = 0;
    for (const [, count] of text.matchAll(/xdp_xmit(?:_err\w*)?: (\d+)/g)) frames += Number(count);
    return frames;
  }

  /** @throws what ended the thread, if it was not this */
  async stop(): Promise<void> {
    Atomics.store(this.#stop, 0, 1);
    if (this.#worker.threadId !== -1) await once(this.#worker, "exit");
  }
}

/** Drops what arrives at an interface and counts it: the redirect program whose queues never get a socket. */
export class XdpSink {
  readonly #program: XdpProgram;
  readonly #fds: readonly number[];

  constructor({ namespace, name }: VethEnd) {
    const addon = native();
    const netns = addon.netnsOpen(namespace);
    const links = addon.linkOpen(netns);
    const { ifindex } = addon.linkByName(links, name)!;
    this.#program = addon.bpfXdpLoad(1, false);
    const attached = addon.bpfXdpAttach(netns, this.#program.programFd, ifindex, XDP_ATTACH.native, name);
    const { programFd, socketMapFd, counterMapFd } = this.#program;
    this.#fds = [attached, programFd, socketMapFd, counterMapFd, links];
  }

  /** Frames that arrived. */
  count(): number {
    const addon = native();
    return (
      addon.bpfUnservedRead(this.#program.counterMapFd, 0) +
      addon.bpfUnservedRead(this.#program.counterMapFd, 1)
    );
  }

  close(): void {
    for (const fd of this.#fds) native().fdClose(fd);
  }
}

if (!isMainThread) sendUntilStopped(workerData as SourceTask);
