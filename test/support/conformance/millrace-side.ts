// A case on Millrace: a switch in this thread, with the ports that the real Open vSwitch has.

import { USERSPACE } from "../../../src/action/attributes.ts";
import {
  FlowTextError,
  formatFlowLine,
  type PortLookup,
  parseFlowEntry,
} from "../../../src/control/flow-entry.ts";
import { OfflineSwitch } from "../../../src/control/offline-switch.ts";
import { KeyExtractor } from "../../../src/flow/extract-key.ts";
import { attributes } from "../../../src/flow/nlattr.ts";
import { formatOdpKey } from "../../../src/flow/odp/match.ts";
import { DEFAULT_SIZES } from "../../../src/memory/region-plan.ts";
import { bytesToHex, hexToBytes } from "../../../src/packet/bytes.ts";
import { readPortCounters } from "../../../src/port/counters.ts";
import { type DummyPort, isDummyPort } from "../../../src/port/dummy/driver.ts";
import type { FlowView } from "../../../src/table/flow-reader.ts";
import {
  CASE_IN_PORT,
  CASE_PORT_COUNT,
  CASE_VLAN_LIMIT,
  type CaseAnswer,
  type ConformanceCase,
  type FlowText,
  maskDump,
  maskKey,
  type PortCounts,
  portCountTexts,
  type UpcallText,
} from "./case.ts";
import { TUNNEL_PORTS } from "./tunnel-ports.ts";

/** The pids that userspace() of a case may name. */
export const PIDS = [1, 2, 3] as const;
const SORT_MILLIS = 1000;
const MISS_PID = 1_000_000;
const PORT_NUMBERS = Array.from({ length: CASE_PORT_COUNT }, (_, index) => index + 1);
/** As the oracle's dummy ports. */
const PORT_NAMES = [
  ...PORT_NUMBERS.map((portNo) => ({ name: `p${portNo}`, portNo })),
  ...TUNNEL_PORTS.map(({ name, portNo }) => ({ name, portNo })),
];
const PORTS: PortLookup = {
  numbers: new Map(PORT_NAMES.map(({ name, portNo }) => [name, portNo])),
  names: new Map(PORT_NAMES.map(({ name, portNo }) => [portNo, name])),
};

export interface PacketUpcall {
  readonly kind: "miss" | "action";
  /** The key that the packet was looked up with. */
  readonly key: Uint8Array;
  readonly packet: Uint8Array;
  /** Of the action; empty without. */
  readonly userdata: Uint8Array;
}

/** What became of one packet. */
export interface PacketFate {
  readonly packet: Uint8Array;
  readonly outputs: readonly { readonly portNo: number; readonly bytes: Uint8Array }[];
  readonly upcalls: readonly PacketUpcall[];
}

export interface MillraceAnswer extends CaseAnswer {
  readonly fates: readonly PacketFate[];
}

export class MillraceSide {
  readonly #offline: OfflineSwitch;
  #ports: readonly DummyPort[] = [];
  #upcalls: PacketUpcall[] = [];

  private constructor(seed: number) {
    this.#offline = new OfflineSwitch({
      sizes: { ...DEFAULT_SIZES, portCountMax: 16, flowCountMax: 1024, maskCountMax: 256, frameCount: 2048 },
      policy: {
        type: "flows",
        "miss-pid": MISS_PID,
        "mac-aging-seconds": 300,
        "mac-table-size": 64,
        "flow-idle-millis": 10_000,
        "flow-limit": 1024,
      },
      vlanLimit: CASE_VLAN_LIMIT,
      seed,
      debugLedger: true,
    });
    const { pids } = this.#offline.handler;
    for (const pid of [MISS_PID, ...PIDS]) {
      pids.listen(pid, ({ kind, key, packet, attributes: bytes }) => {
        return this.#upcalls.push({ kind, key, packet, userdata: userdataOf(bytes) }) > 0;
      });
    }
  }

  static async start(seed: number): Promise<MillraceSide> {
    const side = new MillraceSide(seed);
    const ports: DummyPort[] = [];
    for (const portNo of PORT_NUMBERS) {
      const port = await side.#offline.ports.add({ name: `p${portNo}`, type: "dummy", portNo });
      if (isDummyPort(port)) ports.push(port);
    }
    for (const { name, portNo, type } of TUNNEL_PORTS) await side.#offline.ports.add({ name, portNo, type });
    side.#ports = ports;
    return side;
  }

  async ask({ flows, packets }: ConformanceCase, inPort = CASE_IN_PORT): Promise<MillraceAnswer> {
    await this.#offline.flows.writer.flush();
    // A mask without flows is given back when the masks are sorted, once a second.
    this.#offline.clock.advanceTo(this.#offline.clock.millis() + SORT_MILLIS);
    this.#offline.housekeep();
    const refusals: (string | null)[] = [];
    for (const flow of flows) refusals.push(await this.#put(flow));
    const before = this.#portCounts();
    const fates = packets.map((packet) => this.#receive(hexToBytes(packet), inPort));
    const views: FlowView[] = [];
    for await (const view of this.#offline.flows.all()) views.push(view);
    return {
      refusals,
      fates,
      outputs: outputsByPort(fates),
      upcalls: fates.flatMap(({ upcalls }) => upcalls.map(upcallText)),
      ports: portCountTexts(this.#portCounts(), before),
      dumps: { short: this.#dump(views, false), verbose: this.#dump(views, true) },
    };
  }

  close(): Promise<void> {
    return this.#offline.close();
  }

  /** Null when the flow was taken, else the refusal. */
  async #put({ flow, actions }: FlowText): Promise<string | null> {
    try {
      const entry = parseFlowEntry(flow, actions, PORTS, CASE_VLAN_LIMIT);
      const how = { op: "put", create: true, modify: false, clear: false } as const;
      const [outcome] = await this.#offline.flows.writer.apply([{ ...entry, ...how }]);
      return outcome!.error === null
        ? null
        : `updating flow table: ${outcome!.error} ${outcome!.message ?? ""}`;
    } catch (error) {
      if (!(error instanceof FlowTextError)) throw error;
      return `${error.stage}: ${error.message}`;
    }
  }

  #receive(packet: Uint8Array, inPort: number): PacketFate {
    this.#upcalls = [];
    const port = this.#ports[inPort - 1]!;
    if (!port.inject(packet)) throw new Error("no frame is free: the switch holds packets back");
    this.#offline.settle();
    const outputs = this.#ports.flatMap((sender) =>
      sender.take().map((bytes) => ({ portNo: sender.portNo, bytes })),
    );
    return { packet, outputs, upcalls: this.#upcalls };
  }

  #portCounts(): PortCounts[] {
    return this.#ports.map(({ portNo, slot }) => {
      const counts = readPortCounters(this.#offline.arena, slot);
      return {
        portNo,
        rxPackets: counts.rx_packets,
        rxBytes: counts.rx_bytes,
        txPackets: counts.tx_packets,
        txBytes: counts.tx_bytes,
      };
    });
  }

  #dump(views: readonly FlowView[], verbose: boolean): string[] {
    const style = { verbose, names: verbose };
    const now = this.#offline.clock.millis();
    return views.map((view) => maskDump(formatFlowLine(view, style, PORTS, now, CASE_VLAN_LIMIT))).sort();
  }
}

const extractor = new KeyExtractor(CASE_VLAN_LIMIT);

/** The oracle prints the key of the packet as it came up, ours is that which hit the flow. */
function upcallText({ kind, key, packet, userdata }: PacketUpcall): UpcallText {
  const text = upcallKeyText(kind === "miss" ? key : extractor.extractUnder(packet, key));
  return userdata.length === 0 ? { kind, key: text } : { kind, key: text, userdata: userdataText(userdata) };
}

const userdataOf = (bytes: Uint8Array): Uint8Array => {
  for (const { type, start, end } of attributes(bytes))
    if (type === USERSPACE.userdata) return bytes.slice(start, end);
  return new Uint8Array(0);
};

/** Size of the cookies that Open vSwitch itself puts into userdata, which begin with a type of 16 bits. */
export const COOKIE_BYTES = 48;

export const userdataText = (userdata: Uint8Array): string =>
  userdata.length === COOKIE_BYTES ? `type ${userdata[0]! | (userdata[1]! << 8)}` : `size ${userdata.length}`;

export const upcallKeyText = (key: Uint8Array): string =>
  maskKey(formatOdpKey(key, { vlanLimit: CASE_VLAN_LIMIT }));

function outputsByPort(fates: readonly PacketFate[]): [number, string[]][] {
  return PORT_NUMBERS.flatMap((portNo): [number, string[]][] => {
    const sent = fates.flatMap(({ outputs }) => outputs.filter((output) => output.portNo === portNo));
    return sent.length === 0 ? [] : [[portNo, sent.map(({ bytes }) => bytesToHex(bytes))]];
  });
}
