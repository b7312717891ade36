// The real Open vSwitch as a peer: a bridge of the userspace datapath with dummy ports p1, p2, ... whose
// datapath numbers are 1, 2, ... Packets are injected with netdev-dummy/receive; what a port sends is read
// back from the pcap file of its option tx_pcap; upcalls are read from the debug log.
//
// A turn of ovs-vswitchd's main loop runs the datapath first, then at most ten commands of a connection. Ten
// commands behind an injected packet are therefore a barrier: the last one is answered a turn later, when the
// packet has been through the datapath. Revalidators are paused once, at the start (a second pause never
// answers), so flows stay as they were put. The bridge fails secure and has no OpenFlow flow: a miss drops.

import { closeSync, openSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { bytesToHex } from "../../src/packet/bytes.ts";
import { PcapReader } from "../../src/packet/pcap.ts";
import type { PortCounts } from "./conformance/case.ts";
import type { TunnelPortRow } from "./conformance/tunnel-ports.ts";
import { OracleLog } from "./oracle-log.ts";
import { OracleProcess } from "./oracle-process.ts";
import { type UnixctlAnswer, UnixctlClient } from "./unixctl-client.ts";

export { oracleSkipReason, oracleVersion } from "./oracle-process.ts";

export interface OracleOptions {
  /** Ports p1 to pN with those datapath numbers; 4 if not given. */
  readonly portCount?: number;
  /** `dummy`, polled by the main thread, if not given; `dummy-pmd` has a thread of its own on CPU 0, without barrier. */
  readonly portType?: "dummy" | "dummy-pmd";
  /** other_config:vlan-limit; 1 if not given, as in OVS. */
  readonly vlanLimit?: number;
  /** Tunnel ports to add, which get the numbers that their rows say. */
  readonly tunnels?: readonly TunnelPortRow[];
}

/** An upcall as the debug log tells it; the key is ODP text of the packet as it came up. */
export interface OracleUpcall {
  readonly kind: "miss" | "action";
  readonly key: string;
  /**
   * What the daemon says of an action's userdata, which it takes for a cookie of its own of 48 bytes: `size N`, or `type T`
   * for one that long; undefined without userdata.
   */
  readonly userdata?: string;
}

const BRIDGE = "br0";
const PORTS_DEFAULT = 4;
/** The most commands of one connection that ovs-vswitchd takes in one turn of its main loop. */
const COMMANDS_PER_TURN = 10;
const UPCALL =
  /: (miss|action) upcall:\n(.*)\n|action upcall cookie has unexpected (size \d+)\n|invalid user cookie of (type \d+) and size/g;
const PORT_COUNTS =
  /port (\d+): .*\n +RX packets:(\d+).*\n +TX packets:(\d+).*\n.*\n +RX bytes:(\d+).*TX bytes:(\d+)/g;
/** ovs-vswitchd's own default (upcall/set-flow-limit). */
const FLOW_LIMIT_DEFAULT = 200_000;

export class Oracle {
  readonly portCount: number;
  readonly #process: OracleProcess;
  readonly #client: UnixctlClient;
  readonly #log: OracleLog;
  readonly #captures: OraclePort[] = [];
  #markers = 0;

  private constructor(process: OracleProcess, client: UnixctlClient, portCount: number) {
    this.#process = process;
    this.#client = client;
    this.portCount = portCount;
    this.#log = new OracleLog(process.logFile);
  }

  static async start(options: OracleOptions = {}): Promise<Oracle> {
    const process = new OracleProcess();
    try {
      const client = await UnixctlClient.connect(process.controlSocket);
      const oracle = new Oracle(process, client, options.portCount ?? PORTS_DEFAULT);
      await oracle.#configure(options);
      return oracle;
    } catch (error) {
      process.stop();
      throw error;
    }
  }

  /** The socket for an ovs-appctl of one's own: `ovs-appctl -t SOCKET ...`. */
  get controlSocket(): string {
    return this.#process.controlSocket;
  }

  /** A command and its parameters, as ovs-appctl takes them; the code is what ovs-appctl exits with. */
  appctl(command: string, ...params: string[]): Promise<UnixctlAnswer> {
    return this.#client.call(command, ...params);
  }

  vsctl(...args: string[]): string {
    return this.#process.vsctl(...args);
  }

  /** Adds a bond of ports that were deleted before; they keep their numbers and captures. */
  async addBond(name: string, members: readonly string[], ...settings: readonly string[]): Promise<void> {
    const interfaces = members.flatMap((member) => {
      const portNo = Number(member.slice(1));
      const capture = join(this.#process.folder, `${member}-tx.pcap`);
      return [
        ...["--", "set", "interface", member, "type=dummy", `ofport_request=${portNo}`],
        `options:tx_pcap=${capture}`,
      ];
    });
    this.vsctl("add-bond", BRIDGE, name, ...members, ...settings, ...interfaces);
    this.#checkPortNumbers(await this.#client.expect("dpctl/show"), "dummy");
  }

  /** Adds a datapath flow. The answer's code is 2 when the datapath or the parser refused it. */
  addFlow(flow: string, actions: string): Promise<UnixctlAnswer> {
    return this.appctl("dpctl/add-flow", flow, actions);
  }

  async delFlows(): Promise<void> {
    await this.#client.expect("dpctl/del-flows");
  }

  /** The answer's lines that are flows, without the headings of threads. */
  async dumpFlows(...params: string[]): Promise<string[]> {
    const text = await this.#client.expect("dpctl/dump-flows", ...params);
    return text.split("\n").filter((line) => line !== "" && !line.startsWith("flow-dump from"));
  }

  /** Injects a packet, given as hex (14 bytes at least) or as flow text, and waits until it went through. */
  async receive(port: number, packet: string): Promise<void> {
    const received = this.#client.expect("netdev-dummy/receive", `p${port}`, packet);
    const turn = Array.from({ length: COMMANDS_PER_TURN }, () => this.#client.expect("version"));
    await Promise.all([received, ...turn]);
  }

  /** What each port sent since the last call, in order, as hex; ports that sent nothing are left out. */
  outputs(): Map<number, string[]> {
    const outputs = new Map<number, string[]>();
    for (const capture of this.#captures) {
      const packets = capture.read();
      if (packets.length > 0) outputs.set(capture.portNo, packets);
    }
    return outputs;
  }

  /** The upcalls since the last call. */
  async upcalls(): Promise<OracleUpcall[]> {
    const marker = `millrace-marker-${this.#markers++}-`;
    // A command that does not exist is still logged when it arrives.
    await this.#client.call(marker);
    const text = await this.#log.readTo(marker);
    const upcalls: OracleUpcall[] = [];
    for (const [, kind, key, size, type] of text.matchAll(UPCALL)) {
      if (kind !== undefined) upcalls.push({ kind: kind as "miss" | "action", key: key! });
      else upcalls.push({ ...upcalls.pop()!, userdata: (size ?? type)! });
    }
    return upcalls;
  }

  /** What every port has counted since it was added. */
  async portCounts(): Promise<PortCounts[]> {
    const text = await this.#client.expect("dpctl/show", "-s");
    return Array.from(text.matchAll(PORT_COUNTS), (match) => {
      const [portNo, rxPackets, txPackets, rxBytes, txBytes] = match.slice(1).map(Number) as [
        number,
        number,
        number,
        number,
        number,
      ];
      return { portNo, rxPackets, rxBytes, txPackets, txBytes };
    });
  }

  /**
   * The datapath keys of packets that arrive on a port, from their miss upcalls. Flows that are installed
   * must not match them; delFlows() first when in doubt.
   */
  async extractKeys(packets: readonly string[], port = 1): Promise<string[]> {
    await this.upcalls();
    await this.#client.expect("upcall/set-flow-limit", "0");
    for (const packet of packets) await this.receive(port, packet);
    const misses = (await this.upcalls()).filter((upcall) => upcall.kind === "miss");
    await this.#client.expect("upcall/set-flow-limit", String(FLOW_LIMIT_DEFAULT));
    if (misses.length !== packets.length) {
      throw new Error(
        `oracle: ${packets.length} packets made ${misses.length} misses; a flow matched some of them`,
      );
    }
    return misses.map((upcall) => upcall.key);
  }

  async extractKey(packet: string, port = 1): Promise<string> {
    const [key] = await this.extractKeys([packet], port);
    return key!;
  }

  stop(): void {
    this.#client.close();
    this.#log.close();
    this.#process.stop();
  }

  async #configure(options: OracleOptions): Promise<void> {
    const args = ["add-br", BRIDGE, "--", "set", "bridge", BRIDGE, "datapath_type=dummy", "fail_mode=secure"];
    const type = options.portType ?? "dummy";
    // One look-up alone, as here: no hits of a cache.
    if (type === "dummy-pmd")
      args.push(
        "--",
        "set",
        "Open_vSwitch",
        ".",
        ...["pmd-cpu-mask=1", "emc-insert-inv-prob=0"].map((s) => `other_config:${s}`),
      );
    if (options.vlanLimit !== undefined) {
      args.push("--", "set", "Open_vSwitch", ".", `other_config:vlan-limit=${options.vlanLimit}`);
    }
    for (let portNo = 1; portNo <= this.portCount; portNo++) {
      const capture = join(this.#process.folder, `p${portNo}-tx.pcap`);
      args.push(
        "--",
        "add-port",
        BRIDGE,
        `p${portNo}`,
        "--",
        "set",
        "interface",
        `p${portNo}`,
        `type=${type}`,
      );
      args.push(`ofport_request=${portNo}`, `options:tx_pcap=${capture}`);
      this.#captures.push(new OraclePort(portNo, capture));
    }
    this.vsctl(...args);
    // The names of the datapath's ports are reserved.
    for (const { portNo, type, options: settings } of options.tunnels ?? []) {
      const name = `tunnel${portNo}`;
      this.vsctl("add-port", BRIDGE, name, "--", "set", "interface", name, `type=${type}`, ...settings);
    }
    await this.#client.expect("revalidator/pause");
    await this.#client.expect("vlog/disable-rate-limit");
    await this.#client.expect("vlog/set", "PATTERN:file:%m");
    for (const module of ["dpif_netdev", "unixctl"])
      await this.#client.expect("vlog/set", `${module}:file:dbg`);
    const show = await this.#client.expect("dpctl/show");
    this.#checkPortNumbers(show, type);
    for (const { name, portNo } of options.tunnels ?? [])
      if (!show.includes(`port ${portNo}: ${name} (`))
        throw new Error(`oracle: ${name} did not get datapath number ${portNo}:\n${show}`);
  }

  #checkPortNumbers(show: string, type: string): void {
    for (let portNo = 1; portNo <= this.portCount; portNo++) {
      if (!show.includes(`port ${portNo}: p${portNo} (${type}`)) {
        throw new Error(`oracle: port p${portNo} did not get datapath number ${portNo}:\n${show}`);
      }
    }
  }
}

/** The capture that a dummy port writes; the daemon flushes it after every packet. */
class OraclePort {
  readonly portNo: number;
  readonly #path: string;
  readonly #reader: PcapReader;
  #consumed = 0;

  constructor(portNo: number, path: string) {
    this.portNo = portNo;
    this.#path = path;
    this.#reader = new PcapReader(path);
  }

  read(): string[] {
    const grown = statSync(this.#path).size - this.#consumed;
    if (grown === 0) return [];
    const chunk = Buffer.alloc(grown);
    const descriptor = openSync(this.#path, "r");
    const bytes = readSync(descriptor, chunk, 0, grown, this.#consumed);
    closeSync(descriptor);
    this.#reader.feed(chunk.subarray(0, bytes));
    this.#consumed += bytes;
    const packets: string[] = [];
    for (let packet = this.#reader.next(); packet !== undefined; packet = this.#reader.next()) {
      const end = packet.dataOffset + packet.dataBytes;
      packets.push(bytesToHex(this.#reader.bytes.subarray(packet.dataOffset, end)));
    }
    return packets;
  }
}
