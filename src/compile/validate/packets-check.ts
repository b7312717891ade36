// Packets through both engines: flows under the program's masks with lists of its shapes, packets that hit them, that come
// close, damaged ones, and captured ones when there are any. Flows get other lists from round to round until each shape was
// carried out often enough; what misses behind a recirculation gets a flow, so that packets go deeper.
import { KeyExtractor } from "../../flow/extract-key.ts";
import { K } from "../../flow/fields.ts";
import { BATCH_SIZE } from "../../memory/batch-layout.ts";
import { ETH } from "../../packet/link-headers.ts";
import type { CompiledMask } from "../emit/lookup.ts";
import { kindOf, randomList } from "./lists.ts";
import { damaged, laid, type PacketKind, randomPacket } from "./packets.ts";
import type { SeededRandom } from "./random.ts";
import { sumEdges } from "./sum-edges.ts";
import type { TwinFlow, Twins } from "./twins.ts";
import type { LaidPacket } from "./world.ts";

/** A packet as a port received it. */
export interface CapturedPacket {
  readonly bytes: Uint8Array;
  readonly portNo: number;
}

export interface PacketsCheckOptions {
  readonly twins: Twins;
  /** The most specific first. */
  readonly masks: readonly CompiledMask[];
  /** A list of each shape that is to be tried. */
  readonly lists: readonly Uint8Array[];
  readonly captured: readonly CapturedPacket[];
  readonly vlanLimit: number;
  readonly frameBytes: number;
  readonly random: SeededRandom;
  /** Told of each burst before it goes through. */
  readonly onBurst: (packets: readonly LaidPacket[], portNo: number) => void;
}

/** Ports that packets come in on; one that has no flow as a rule, and the highest number. */
const IN_PORTS = [1, 2, 3, 4, 77, 0xfffe] as const;
const FLOWS_LEAST = 48;
const FLOWS_MOST = 256;
const TRIES = 4;
const EMPTY = new Uint8Array(0);
const RECIRC_ID_AT = K.recirc_id;
/** Packets of each shape. */
const SHAPE_PACKETS = 48;
const ROUNDS_LEAST = 4;
const ROUNDS_MOST = 48;
/** Packets of a round that leave with a checksum of zero. */
const SUM_EDGES = 32;
/** Flows made for packets that recirculated and missed, in a round. */
const LEARNED_MOST = 24;

interface Sample extends CapturedPacket {
  readonly flow: TwinFlow;
}

/** A list to be tried, and what packets it wants. */
interface Shape {
  readonly list: Uint8Array;
  readonly kind: PacketKind;
  /** Packets that met it. */
  hits: number;
}

export class PacketsCheck {
  readonly #options: PacketsCheckOptions;
  readonly #extractor: KeyExtractor;
  readonly #samples: Sample[] = [];
  readonly #flows = new Map<number, TwinFlow>();
  readonly #kinds = new Map<number, PacketKind>();
  /** Of each flow, which shape its list has. */
  readonly #shapeOf = new Map<number, Shape>();
  readonly #shapes: readonly Shape[];

  constructor(options: PacketsCheckOptions) {
    this.#options = options;
    this.#extractor = new KeyExtractor(options.vlanLimit);
    this.#shapes = options.lists.map((list) => ({ list, kind: kindOf(list), hits: 0 }));
  }

  /** @throws Differs */
  run(): void {
    this.#makeFlows();
    for (let round = 0; round < ROUNDS_MOST; round += 1) {
      this.#assignLists();
      this.#sendRound();
      if (round + 1 >= ROUNDS_LEAST && this.scarceShapes === 0) return;
    }
  }

  /** Shapes that fewer packets met than they should have. */
  get scarceShapes(): number {
    return this.#shapes.filter(({ hits }) => hits < SHAPE_PACKETS).length;
  }

  flow(flowNo: number): TwinFlow | undefined {
    return this.#flows.get(flowNo);
  }

  #makeFlows(): void {
    const { masks, captured, random } = this.#options;
    const wanted = Math.max(FLOWS_LEAST, Math.min(FLOWS_MOST, 2 * masks.length, this.#shapes.length));
    const each = Math.ceil(wanted / masks.length);
    for (const mask of masks) {
      for (let made = 0, tries = 0; made < each && tries < each * TRIES; tries += 1) {
        const kind = this.#shapes.length === 0 ? {} : random.pick(this.#shapes).kind;
        const packet = captured[this.#samples.length] ?? {
          bytes: randomPacket(random, kind),
          portNo: tries < each ? random.pick(IN_PORTS) : 1 + random.below(0xfffe),
        };
        if (this.#makeFlow(packet, mask, kind)) made += 1;
      }
    }
  }

  #makeFlow(packet: CapturedPacket, mask: CompiledMask, kind: PacketKind): boolean {
    const key = this.#extractor.extract(packet.bytes, packet.portNo);
    const flow = this.#options.twins.put(key, mask, EMPTY);
    if (flow === null) return false;
    this.#flows.set(flow.flowNo, flow);
    this.#kinds.set(flow.flowNo, kind);
    this.#samples.push({ ...packet, flow });
    return true;
  }

  /** Every flow gets a list, most often of the shapes that were met least and that its packet has the headers for. */
  #assignLists(): void {
    const { random, twins } = this.#options;
    if (this.#shapes.length === 0) return;
    const scarce = [...this.#shapes].sort((a, b) => a.hits - b.hits);
    for (const flow of this.#flows.values()) {
      const kind = this.#kinds.get(flow.flowNo);
      const fitting = kind === undefined ? -1 : scarce.findIndex((shape) => isSameKind(shape.kind, kind));
      const shape = random.chance(0.2) ? random.pick(this.#shapes) : scarce[Math.max(0, fitting)]!;
      // The next flow takes the one after it.
      scarce.push(...scarce.splice(scarce.indexOf(shape), 1));
      this.#shapeOf.set(flow.flowNo, shape);
      twins.modify(flow, randomList(random, shape.list));
    }
  }

  #sendRound(): void {
    const { random, frameBytes } = this.#options;
    const packets = this.#samples.flatMap((sample) => this.#packetsLike(sample));
    shuffle(random, packets);
    let learned = 0;
    for (const portNo of new Set(packets.map((packet) => packet.portNo))) {
      const own = packets.filter((packet) => packet.portNo === portNo);
      for (let from = 0, count = 0; from < own.length; from += count) {
        count = random.chance(0.5) ? BATCH_SIZE : 1 + random.below(BATCH_SIZE);
        const burst = own.slice(from, from + count).map(({ bytes }) => laid(random, bytes, frameBytes));
        this.#send(burst, portNo);
        if (learned < LEARNED_MOST) learned += this.#learn();
      }
    }
    for (let count = 0; count < SUM_EDGES && this.#samples.length > 0; count += 1)
      this.#sendSumEdges(random.pick(this.#samples));
  }

  /** The packet, then again so that a checksum of it is zero when it leaves. */
  #sendSumEdges({ bytes, portNo }: Sample): void {
    this.#send([{ bytes }], portNo);
    const [left] = this.#options.twins.reference.departedPackets;
    if (left === undefined || left.length < ETH.headerBytes) return;
    for (const edge of sumEdges(this.#extractor, bytes, left)) this.#send([{ bytes: edge }], portNo);
  }

  #packetsLike({ bytes, portNo, flow }: Sample): CapturedPacket[] {
    const { random } = this.#options;
    const kind = this.#shapeOf.get(flow.flowNo)?.kind ?? {};
    return [
      { bytes, portNo },
      { bytes, portNo },
      { bytes: randomPacket(random, kind), portNo },
      { bytes: damaged(random, bytes), portNo },
      { bytes: damaged(random, bytes), portNo },
      { bytes, portNo: random.pick(IN_PORTS) },
    ];
  }

  #send(burst: readonly LaidPacket[], portNo: number): void {
    const { twins, onBurst } = this.#options;
    onBurst(burst, portNo);
    for (const flowNo of twins.burst(burst, portNo)) {
      const shape = this.#shapeOf.get(flowNo);
      if (shape !== undefined) shape.hits += 1;
    }
  }

  /** Flows for what recirculated and found none. Returns how many. */
  #learn(): number {
    const { twins, masks, random } = this.#options;
    let learned = 0;
    for (const key of twins.reference.missedKeys) {
      const isRecirculated = new DataView(key.buffer).getUint32(RECIRC_ID_AT, true) !== 0;
      if (!isRecirculated) continue;
      const shape = random.pick(this.#shapes);
      const flow = twins.put(key, random.pick(masks), randomList(random, shape.list));
      if (flow === null) continue;
      this.#flows.set(flow.flowNo, flow);
      this.#shapeOf.set(flow.flowNo, shape);
      learned += 1;
    }
    return learned;
  }
}

const isSameKind = (one: PacketKind, other: PacketKind): boolean =>
  one.network === other.network && one.transport === other.transport && one.isTagged === other.isTagged;

function shuffle(random: SeededRandom, items: unknown[]): void {
  for (let last = items.length - 1; last > 0; last -= 1) {
    const at = random.below(last + 1);
    [items[last], items[at]] = [items[at], items[last]];
  }
}
