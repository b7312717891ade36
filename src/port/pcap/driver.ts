// The pcap port on the control thread: checks both files, opens them, and says how they are played.
//
// The file to read is read through once at opening: a damaged file is refused with the place of the damage, so that a
// worker never meets one. Both descriptors belong to this thread; workers get their numbers.
import { closeSync, openSync, readSync } from "node:fs";
import * as v from "valibot";
import { CaptureError, LINK_TYPE_ETHERNET } from "../../packet/capture.ts";
import { openCapture } from "../../packet/capture-reader.ts";
import type { OpenPort, PortContext, PortDriver, PortSpec, PortStatus, QueueAttachment } from "../port.ts";

export const PACES = ["once", "recorded", "loop"] as const;
export type Pace = (typeof PACES)[number];

/** Bytes read from the file at a time. */
export const READ_CHUNK_BYTES = 1 << 18;
/** A pcap has no MTU; the longest packet that the switch passes. */
const PCAP_MTU = 9000;

const optionSchema = v.strictObject({
  rx: v.optional(v.string()),
  tx: v.optional(v.string()),
  /** `once` as fast as it is polled, `recorded` at the file's own times, `loop` as fast as polled and again. */
  pace: v.optional(v.picklist(PACES), "once"),
  "tx-format": v.optional(v.picklist(["pcap", "pcapng"]), "pcap"),
});

type PcapOptions = v.InferOutput<typeof optionSchema>;

export const pcapDriver: PortDriver = {
  type: "pcap",
  open: async (_context: PortContext, spec: PortSpec, portNo: number, slot: number): Promise<OpenPort> => {
    const parsed = v.safeParse(optionSchema, spec.options ?? {});
    if (!parsed.success) {
      const [issue] = parsed.issues;
      throw new Error(
        `port ${spec.name}: option ${v.getDotPath(issue) ?? ""}: ${issue.message}; a pcap port takes rx, tx, pace and tx-format`,
      );
    }
    if ((spec.rxqCount ?? 1) !== 1)
      throw new Error(`port ${spec.name}: a pcap port has one queue; lower rx-queues to 1`);
    const options = parsed.output;
    let rxFd = -1;
    try {
      if (options.rx !== undefined) rxFd = openCaptureFile(options.rx);
      const txFd = options.tx === undefined ? -1 : openSync(options.tx, "w");
      return new PcapPort(spec, portNo, slot, options, rxFd, txFd);
    } catch (error) {
      if (rxFd >= 0) closeSync(rxFd);
      throw new Error(`port ${spec.name}: ${(error as Error).message}`, { cause: error });
    }
  },
};

/** Opens a capture and reads it through. @throws CaptureError or the system's error; the descriptor is closed */
function openCaptureFile(path: string): number {
  const fd = openSync(path, "r");
  try {
    checkCapture(path, fd);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function checkCapture(path: string, fd: number): void {
  const chunk = new Uint8Array(READ_CHUNK_BYTES);
  let position = readSync(fd, chunk, 0, chunk.length, 0);
  const reader = openCapture(path, chunk.subarray(0, position));
  for (;;) {
    for (let packet = reader.next(); packet !== undefined; packet = reader.next()) {
      const { linkType } = reader.interfaces[packet.interfaceIndex]!;
      if (linkType !== LINK_TYPE_ETHERNET) {
        throw new CaptureError(
          path,
          position,
          "interface",
          `link type ${linkType}; only Ethernet (${LINK_TYPE_ETHERNET}) is forwarded`,
        );
      }
    }
    const bytes = readSync(fd, chunk, 0, chunk.length, position);
    if (bytes === 0) break;
    reader.feed(chunk.subarray(0, bytes));
    position += bytes;
  }
  reader.finish();
}

class PcapPort implements OpenPort {
  readonly spec: PortSpec;
  readonly portNo: number;
  readonly slot: number;
  readonly rxqCount: number;
  readonly txqCount = 1;
  readonly takesPartialChecksums = false;
  readonly shownOptions: readonly (readonly [string, string])[];
  readonly #options: PcapOptions;
  readonly #rxFd: number;
  readonly #txFd: number;

  constructor(
    spec: PortSpec,
    portNo: number,
    slot: number,
    options: PcapOptions,
    rxFd: number,
    txFd: number,
  ) {
    this.spec = spec;
    this.portNo = portNo;
    this.slot = slot;
    this.rxqCount = rxFd >= 0 ? 1 : 0;
    this.#options = options;
    this.#rxFd = rxFd;
    this.#txFd = txFd;
    this.shownOptions = (["pace", "rx", "tx"] as const).flatMap((key) => {
      const value = options[key];
      return value === undefined ? [] : [[key, value] as const];
    });
  }

  rxAttachment(queue: number): QueueAttachment {
    const fields = { fd: this.#rxFd, path: this.#options.rx ?? "", pace: this.#options.pace };
    return { type: "pcap", portNo: this.portNo, slot: this.slot, queue, fields };
  }

  txAttachment(queue: number): QueueAttachment {
    const fields = {
      fd: this.#txFd,
      path: this.#options.tx ?? "",
      format: this.#options["tx-format"],
      name: this.spec.name,
    };
    return { type: "pcap", portNo: this.portNo, slot: this.slot, queue, fields };
  }

  status(): PortStatus {
    return { up: true, mtu: PCAP_MTU, notes: [] };
  }

  /** A file has none. */
  foldKernelCounters(): void {}

  async close(): Promise<void> {
    if (this.#rxFd >= 0) closeSync(this.#rxFd);
    if (this.#txFd >= 0) closeSync(this.#txFd);
  }
}
