// Packets that a program sends down with actions (OVS_PACKET_CMD_EXECUTE): they go to a worker like answers to upcalls,
// under the metadata of the key that came with them. Packets of one port go to one worker, so they keep their order.
//
// The books: such a packet is originated, and consumed by the handler until the worker counts it as come back.
import { COUNTER, type ThreadCounters } from "../datapath/counters.ts";
import { getNumber } from "../flow/key.ts";
import { NO_FRAME } from "../memory/frame-layout.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import type { Packets } from "../memory/packets.ts";
import type { TableWriter } from "../table/table-writer.ts";
import type { Answers } from "./answers.ts";
import { underMetadata } from "./packet-metadata.ts";

export interface Injection {
  readonly packet: Uint8Array;
  /** Metadata of the packet; its headers are parsed from its bytes. */
  readonly key: Uint8Array;
  /** Validated. */
  readonly actions: Uint8Array;
}

/** Why a packet could not be sent down: nothing of it is left then. */
export type InjectRefusal =
  | "no worker"
  | "no frame"
  | "no room for the actions"
  | "the worker's ring is full";

export class Injector {
  readonly #table: TableWriter;
  readonly #pool: FramePool;
  readonly #packets: Packets;
  readonly #counters: ThreadCounters;
  readonly #answers: readonly Answers[];

  /** @param answers by worker */
  constructor(
    table: TableWriter,
    pool: FramePool,
    packets: Packets,
    counters: ThreadCounters,
    answers: readonly Answers[],
  ) {
    this.#table = table;
    this.#pool = pool;
    this.#packets = packets;
    this.#counters = counters;
    this.#answers = answers;
  }

  /** Sends a packet down; null when it is on its way. */
  inject({ packet, key, actions }: Injection): InjectRefusal | null {
    const portNo = getNumber(key, "in_port");
    const answers = this.#answers[portNo % this.#answers.length];
    if (answers === undefined) return "no worker";
    if (!answers.hasRoomToSpare) return "the worker's ring is full";
    const frame = this.#packets.fromBytes(packet, portNo);
    if (frame === NO_FRAME) return "no frame";
    // An empty list drops; behind metadata it would have the packet looked up.
    const list = actions.length === 0 ? 0 : this.#table.lendActions(underMetadata(key, actions));
    if (list === 0) this.#pool.freePacket(frame);
    if (list === 0) return actions.length === 0 ? null : "no room for the actions";
    this.#counters.add(COUNTER.originated, 1);
    this.#counters.add(COUNTER.consumed, 1);
    answers.inject(frame, list, () => this.#table.returnActions(list));
    answers.publish();
    return null;
  }
}
