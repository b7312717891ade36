// The reference datapath: plain TypeScript over the arena. It is the specification that compiled code is held against,
// the oracle of tests, and the path of every packet that compiled code does not take.
//
// A burst is extracted (batch-extractor.ts), then looked up and carried out (batch-stage.ts). What recirculates gathers
// in a batch of its own, one for each depth (recirc-stage.ts), and is looked up once the burst above is done.
//
// Per batch: a few counters. Memory: this thread's batches. Counters: those of the stages; packets that came back from
// the handler were counted as look-ups when they missed.
import { ACTION_METADATA } from "../action/attributes.ts";
import { BondReader } from "../action/bond-table.ts";
import { Meters } from "../action/meters.ts";
import { K, KEY_BYTES } from "../flow/fields.ts";
import { NLA_HEADER_BYTES } from "../flow/nlattr.ts";
import { BatchColumns } from "../memory/batch-columns.ts";
import { PACKET_L3 } from "../memory/frame-layout.ts";
import type { Packets } from "../memory/packets.ts";
import { swap16 } from "../packet/bytes.ts";
import { ETH_TYPE } from "../packet/link-headers.ts";
import { IP_PROTOCOL } from "../packet/network-headers.ts";
import { ICMPV6_TYPE } from "../packet/transport-headers.ts";
import { TableReader } from "../table/table-reader.ts";
import { BatchExtractor } from "./batch-extractor.ts";
import { BatchStage, type EngineContext } from "./batch-stage.ts";
import { COUNTER, type ThreadCounters } from "./counters.ts";
import type { Engine, EngineSinks, MissSink } from "./engine.ts";
import { type RecircStage, recircStages } from "./recirc-stage.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const RAW_ARP = swap16(ETH_TYPE.arp);
const RAW_IPV6 = swap16(ETH_TYPE.ipv6);
const ICMPV6: number = IP_PROTOCOL.icmpv6;
const { neighborSolicitation: SOLICITATION, neighborAdvertisement: ADVERTISEMENT } = ICMPV6_TYPE;

export type { EngineContext } from "./batch-stage.ts";

const METER_UNKNOWN = COUNTER.meter_unknown;

export class ReferenceEngine implements Engine {
  readonly #i32: Int32Array;
  readonly #u16: Uint16Array;
  readonly #packets: Packets;
  readonly #misses: MissSink;
  readonly #columns: BatchColumns;
  readonly #extractor: BatchExtractor;
  readonly #stage: BatchStage;
  readonly #recirc: RecircStage;
  readonly #table: TableReader;
  readonly #meters: Meters;
  readonly #counters: ThreadCounters;

  constructor(context: EngineContext, sinks: EngineSinks) {
    const { arena, threadIndex } = context;
    const columns = new BatchColumns(arena, threadIndex);
    this.#i32 = arena.i32;
    this.#u16 = arena.u16;
    this.#packets = context.packets;
    this.#misses = sinks.misses;
    this.#columns = columns;
    this.#extractor = new BatchExtractor({ ...context, columns });
    this.#meters = new Meters(arena, context.now);
    const shared = { ...context, bonds: new BondReader(arena, threadIndex), meters: this.#meters };
    this.#counters = context.counters;
    this.#recirc = recircStages(shared, sinks);
    this.#stage = new BatchStage(shared, sinks, columns, this.#recirc, false);
    this.#table = new TableReader(arena, threadIndex);
  }

  process(count: number, portNo: number, isEndpoint: boolean): void {
    const kept = this.#extractor.extract(count, portNo);
    if (kept === 0) return;
    let hits = this.#stage.lookup(kept);
    if (isEndpoint) hits -= this.#unmatchResolution(kept);
    if (hits === kept && this.#misses.orderedCount === 0) this.#stage.actOnHits(kept);
    else this.#actInOrder(kept);
    this.#finish();
  }

  processReinjected(count: number, portNo: number): void {
    const kept = this.#extractor.extract(count, portNo);
    if (kept === 0) return;
    if (this.#stage.lookupUncounted(kept) === kept) this.#stage.actOnHits(kept);
    else this.#actOnReinjected(kept);
    this.#finish();
  }

  execute(count: number): void {
    // The ports that they came in on differ, so each is a batch of its own in the first slot, which is empty by then.
    const { frames, actions, flows } = this.#columns;
    for (let index = 0; index < count; index += 1) {
      const frame = this.#stage.takeFrame(index);
      const list = this.#i32[actions + index]!;
      this.#i32[frames] = frame;
      this.#i32[actions] = list;
      this.#i32[flows] = 0;
      if (!this.#hasMetadata(list)) {
        if (this.#extractor.extract(1, this.#packets.portNo(frame)) === 1) this.#stage.carryOutOne(0);
      } else {
        this.#executeUnder(list, frame);
      }
    }
    this.#finish();
  }

  #finish(): void {
    this.#stage.finish();
    this.#meters.settle();
    if (this.#meters.unknown === 0) return;
    this.#counters.add(METER_UNKNOWN, this.#meters.unknown);
    this.#meters.unknown = 0;
  }

  /** Takes their flows from packets of ARP and neighbour discovery. Returns how many had one. */
  #unmatchResolution(count: number): number {
    const { keys, flows } = this.#columns;
    let unmatched = 0;
    for (let slot = 0; slot < count; slot += 1) {
      if (this.#i32[flows + slot] === 0 || !this.#isResolution(keys + slot * KEY_BYTES)) continue;
      this.#i32[flows + slot] = 0;
      unmatched += 1;
    }
    return unmatched;
  }

  #isResolution(key: number): boolean {
    const typeAndProtocol = this.#i32[(key + K.eth_type) >>> 2]!;
    if ((typeAndProtocol & 0xffff) === RAW_ARP) return true;
    if ((typeAndProtocol & 0xffff) !== RAW_IPV6 || typeAndProtocol >>> 24 !== ICMPV6) return false;
    const type = this.#u16[(key + K.tp_src) >>> 1]! >>> 8;
    return type === SOLICITATION || type === ADVERTISEMENT;
  }

  #hasMetadata(list: number): boolean {
    if (this.#table.actionsBytes(list) === 0) return false;
    return this.#u16[(this.#table.actionsOffset(list) >>> 1) + 1] === ACTION_METADATA;
  }

  /** The packet in the first slot, under the metadata that its list begins with. */
  #executeUnder(list: number, frame: number): void {
    const at = this.#table.actionsOffset(list);
    const bytes = this.#u16[at >>> 1]!;
    const isL3 = this.#i32[(at + NLA_HEADER_BYTES + K.packet_type) >>> 2] !== 0;
    const flags = this.#packets.flags(frame);
    this.#packets.setFlags(frame, isL3 ? flags | PACKET_L3 : flags & ~PACKET_L3);
    this.#extractor.loadMetadata(0, at + NLA_HEADER_BYTES, bytes - NLA_HEADER_BYTES);
    if (bytes === this.#table.actionsBytes(list)) {
      this.#recirc.add(this.#columns, 0, this.#stage.takeFrame(0));
      return;
    }
    // As an Ethernet packet that is too short for its header: nothing of it is parsed, and its actions are carried out.
    this.#extractor.extractAgain(1);
    this.#stage.carryOutOne(0);
  }

  /** Misses go up, and what hit behind a miss of its own conversation goes up behind it. */
  #actInOrder(count: number): void {
    const misses = this.#misses;
    const stage = this.#stage;
    for (let slot = 0; slot < count; slot += 1) {
      if (this.#i32[this.#columns.flows + slot] === 0) {
        stage.miss(slot);
      } else if (misses.orderedCount !== 0 && misses.isBehindMiss(stage.setOrderHash(slot))) {
        misses.follow(this.#columns, slot, stage.takeFrame(slot));
      } else {
        stage.actOnHit(slot);
      }
    }
  }

  #actOnReinjected(count: number): void {
    for (let slot = 0; slot < count; slot += 1) {
      if (this.#i32[this.#columns.flows + slot] !== 0) this.#stage.actOnHit(slot);
      else this.#stage.miss(slot);
    }
  }
}
