// A program's end of the netlink socket: requests with their answers, and what comes without being asked for.
import { EventEmitter } from "node:events";
import { connect, type Socket } from "node:net";
import { type AttributeTable, decodeAttributes, encodeAttributes, type Values } from "./attribute-table.ts";
import { type ErrnoName, errnoName, NetlinkError } from "./errno.ts";
import { FAMILY, type FamilyRow, SOCKET_ATTRIBUTES, SOCKET_COMMAND } from "./families.ts";
import { MessageFramer } from "./framer.ts";
import {
  decodeError,
  encodeGeneric,
  GENL_HEADER_BYTES,
  genericHeader,
  type NetlinkMessage,
  NLM_F,
  NLMSG,
  NLMSG_HEADER_BYTES,
  OVS_HEADER_BYTES,
} from "./message.ts";

/** The datapath's number in ovs_header: a daemon has one. */
const DP_IFINDEX = 1;

export interface RequestOptions {
  /** NLM_F besides REQUEST and ACK. */
  readonly flags?: number;
  readonly dpIfindex?: number;
}

interface Waiting {
  readonly messages: NetlinkMessage[];
  readonly resolve: (messages: NetlinkMessage[]) => void;
  readonly reject: (error: Error) => void;
}

/** Reads the attributes of a family's message. @throws NetlinkError */
export function attributesOf<Table extends AttributeTable>(
  family: FamilyRow,
  table: Table,
  { bytes }: NetlinkMessage,
): Values<Table> {
  const headerBytes = GENL_HEADER_BYTES + (family.hasOvsHeader ? OVS_HEADER_BYTES : 0);
  return decodeAttributes(table, bytes, NLMSG_HEADER_BYTES + headerBytes, family.name).values;
}

export const commandOf = (message: NetlinkMessage): number => genericHeader(message).command;

/** Events: `message` with what nobody asked for, `overrun` with the count of lost ones, `closed`. */
export class NetlinkClient extends EventEmitter<{
  message: [NetlinkMessage];
  overrun: [number];
  closed: [Error | undefined];
}> {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  #sequence = 0;
  #failure: Error | undefined;

  private constructor(socket: Socket) {
    super();
    this.#socket = socket;
    const framer = new MessageFramer();
    socket.on("data", (chunk: Buffer) => {
      try {
        for (const message of framer.push(chunk)) this.#take(message);
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
    socket.on("error", (error) => {
      this.#failure = error;
    });
    socket.on("close", () => this.#close());
  }

  /** @throws Error when nobody answers there */
  static async connect(path: string): Promise<NetlinkClient> {
    const socket = connect(path);
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return new NetlinkClient(socket);
  }

  /**
   * Asks, and waits for the end of the answer.
   * @returns the family's messages in it, several for a dump
   * @throws NetlinkError with the errno and text of the answer
   */
  async request<Table extends AttributeTable>(
    family: FamilyRow,
    command: number,
    table: Table,
    values: Values<Table>,
    { flags = 0, dpIfindex = DP_IFINDEX }: RequestOptions = {},
  ): Promise<NetlinkMessage[]> {
    this.#sequence += 1;
    const sequence = this.#sequence;
    const header = { type: family.id, flags: NLM_F.request | NLM_F.ack | flags, sequence, pid: 0 };
    const index = family.hasOvsHeader ? dpIfindex : undefined;
    const generic = { command, version: family.version };
    return await this.#send(sequence, encodeGeneric(header, generic, index, encodeAttributes(table, values)));
  }

  /** Binds this connection to a pid, to a free one when none is given; upcalls of the pid come as `message`. */
  async bind(pid = 0): Promise<number> {
    const [answer] = await this.request(FAMILY.socket, SOCKET_COMMAND.bind, SOCKET_ATTRIBUTES, { pid });
    return attributesOf(FAMILY.socket, SOCKET_ATTRIBUTES, answer!).pid!;
  }

  /** Notices of a multicast group come as `message`. */
  async join(group: number): Promise<void> {
    await this.request(FAMILY.socket, SOCKET_COMMAND.join, SOCKET_ATTRIBUTES, { group });
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Reads no more until `resume`: what the daemon has for us gathers there, and is lost when it is too much. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  #send(sequence: number, bytes: Uint8Array): Promise<NetlinkMessage[]> {
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) {
        reject(this.#failure ?? new Error("the netlink socket is closed"));
        return;
      }
      this.#waiting.set(sequence, { messages: [], resolve, reject });
      this.#socket.write(bytes);
    });
  }

  #take(message: NetlinkMessage): void {
    if (message.type === NLMSG.overrun) {
      const { bytes } = message;
      const count = new DataView(bytes.buffer, bytes.byteOffset).getUint32(NLMSG_HEADER_BYTES, true);
      this.emit("overrun", count);
      return;
    }
    const waiting = this.#waiting.get(message.sequence);
    if (waiting === undefined) {
      this.emit("message", message);
      return;
    }
    if (message.type !== NLMSG.error && message.type !== NLMSG.done) {
      waiting.messages.push(message);
      return;
    }
    this.#waiting.delete(message.sequence);
    const error = message.type === NLMSG.error ? decodeError(message) : undefined;
    if (error === undefined || error.errno === 0) waiting.resolve(waiting.messages);
    else waiting.reject(new NetlinkError(errnoName(error.errno) as ErrnoName, error.text, error.byteOffset));
  }

  #close(): void {
    for (const { reject } of this.#waiting.values())
      reject(this.#failure ?? new Error("the daemon closed the netlink socket"));
    this.#waiting.clear();
    this.emit("closed", this.#failure);
  }
}
