// The two worlds of a validation, given the same flows and the same bursts: one with the program, one without. Every step of
// a burst is compared before the next one, so that a difference is named where it arises.
import { BondTable } from "../../action/bond-table.ts";
import { MeterTable } from "../../action/meter-table.ts";
import { COUNTERS } from "../../datapath/counters.ts";
import { DROP_REASONS } from "../../datapath/drop-reason.ts";
import type { Program } from "../../datapath/program.ts";
import { FIELDS, KEY_BYTES, KEY_LINE_BYTES, KEY_LINE_COUNT } from "../../flow/fields.ts";
import type { Arena } from "../../memory/arena.ts";
import { BOND_BUCKETS, FLOW_STATS_BYTES, THREAD_BLOCK_BYTES } from "../../memory/region-plan.ts";
import { THREAD } from "../../memory/thread-block.ts";
import { bytesToHex } from "../../packet/bytes.ts";
import {
  FLOW,
  flowWord,
  ROOT,
  STATS,
  SUBTABLE,
  subtableWord,
  workerStatsOffset,
} from "../../table/layout.ts";
import type { ActionShape } from "../../table/shape-store.ts";
import { CACHE_MASKS_MIN, type CompiledMask } from "../emit/lookup.ts";
import { Differs } from "./difference.ts";
import { OUT_PORTS } from "./lists.ts";
import { type LaidPacket, THREAD_INDEX, World } from "./world.ts";

export type WorldSettings = Omit<ConstructorParameters<typeof World>[0], "fill">;

/** What stands around packets in each world. */
const FILLS = { reference: 0x00, program: 0xa5 } as const;
/** Counters that say which way a packet went, and not what became of it. */
const OWN_COUNTERS: ReadonlySet<string> = new Set([
  "cache_hit",
  "parse_fallback",
  "action_fallback",
  "programs",
]);

export interface TwinFlow {
  readonly flowNo: number;
  readonly key: Uint8Array;
  readonly mask: CompiledMask;
  list: Uint8Array;
}

type Change = (world: World) => unknown;

export class Twins {
  readonly reference: World;
  readonly program: World;
  readonly #settings: WorldSettings;
  readonly #makeProgram: (arena: Arena) => Program;
  /** Probes are counted alike where no cache stands before them. */
  readonly #comparesProbes: boolean;
  readonly #changes: Change[] = [];

  /** @param maskCount masks that the program knows */
  constructor(settings: WorldSettings, makeProgram: (arena: Arena) => Program, maskCount: number) {
    this.#settings = settings;
    this.#makeProgram = makeProgram;
    this.#comparesProbes = maskCount < CACHE_MASKS_MIN;
    this.reference = new World({ ...settings, fill: FILLS.reference });
    this.program = new World({ ...settings, fill: FILLS.program });
    this.program.setProgram(makeProgram(this.program.arena));
    this.#change(setMetersAndBonds);
  }

  /** Two new worlds in which the same was changed, and no packet was seen. */
  again(): Twins {
    const twins = new Twins(this.#settings, this.#makeProgram, this.#comparesProbes ? 0 : CACHE_MASKS_MIN);
    for (const change of this.#changes.slice(1)) twins.#change(change);
    return twins;
  }

  /** Makes a flow in both; null when another one is in its way. */
  put(key: Uint8Array, mask: CompiledMask, list: Uint8Array): TwinFlow | null {
    const flowNo = this.#change((world) => putFlow(world, key, mask, list));
    return flowNo === 0 ? null : { flowNo, key, mask, list };
  }

  modify(flow: TwinFlow, list: Uint8Array): void {
    this.#change(({ table }) => table.modify(flow.flowNo, list));
    flow.list = list;
  }

  remove({ flowNo }: TwinFlow): void {
    this.#change(({ table }) => {
      table.remove(flowNo);
      table.step();
    });
  }

  /** Masks without flows are probed no more. */
  dropEmptySubtables(): void {
    this.#change(({ table }) => {
      while (table.step());
      table.sortSubtables();
      while (table.step());
    });
  }

  /** Gives shapes their numbers, which go by the order in which they come. @throws Error when a number is left out */
  numberShapes(shapes: readonly ActionShape[]): void {
    for (const [index, { number, list }] of shapes.entries()) {
      if (number !== index + 1)
        throw new Error(`validation: shape ${index + 1} is not given, ${number} comes next`);
      this.#change(({ table }) => table.lendActions(list));
    }
  }

  /** Does the same to both, and remembers it for again(). */
  #change<Result>(change: (world: World) => Result): Result {
    this.#changes.push(change);
    change(this.program);
    return change(this.reference);
  }

  /** @throws Differs */
  lookKeys(keys: readonly Uint8Array[]): Int32Array {
    const expected = this.reference.lookKeys(keys);
    const found = this.program.lookKeys(keys);
    for (const [slot, key] of keys.entries()) {
      if (found[slot] === expected[slot]) continue;
      const [one, other] = [expected[slot]!, found[slot]!].map((flowNo) => this.#flowName(flowNo));
      throw new Differs("look-up", `flow of key ${bytesToHex(key)}`, one!, other!, slot);
    }
    return expected;
  }

  /** A burst through both, step by step. Returns the flows that the packets hit. @throws Differs */
  burst(packets: readonly LaidPacket[], portNo: number): Int32Array {
    const { reference, program } = this;
    const kept = reference.receive(packets, portNo);
    const programKept = program.receive(packets, portNo);
    if (kept !== programKept) throw new Differs("extraction", "packets left", `${kept}`, `${programKept}`);
    for (let slot = 0; slot < kept; slot += 1) this.#compareSlot(slot);
    const flows = reference.look(kept);
    const found = program.look(kept);
    for (let slot = 0; slot < kept; slot += 1) {
      if (found[slot] === flows[slot]) continue;
      const [one, other] = [flows[slot]!, found[slot]!].map((flowNo) => this.#flowName(flowNo));
      throw new Differs("look-up", "flow of the packet", one!, other!, slot);
    }
    if (kept > 0) compareLines("outputs", reference.process(kept, portNo), program.process(kept, portNo));
    this.#compareCounters();
    this.#compareStatistics();
    const [free, programFree] = [reference.freeFrames, program.freeFrames];
    if (free !== programFree) throw new Differs("frames", "free frames", `${free}`, `${programFree}`);
    return flows;
  }

  #flowName(flowNo: number): string {
    return flowNo === 0 ? "none" : `number ${flowNo}`;
  }

  /** Key and columns as extraction wrote them. */
  #compareSlot(slot: number): void {
    const [one, other] = [this.reference, this.program];
    for (const column of ["packetBytes", "l3Offsets", "l4Offsets", "tcpFlags"] as const) {
      const expected = one.arena.i32[one.columns[column] + slot]!;
      const found = other.arena.i32[other.columns[column] + slot]!;
      if (found !== expected)
        throw new Differs("extraction", `column ${column}`, `${expected}`, `${found}`, slot);
    }
    const words = KEY_BYTES / 4;
    const first = (one.columns.keys >>> 2) + slot * words;
    const firstOther = (other.columns.keys >>> 2) + slot * words;
    for (let word = 0; word < words; word += 1)
      if (one.arena.i32[first + word] !== other.arena.i32[firstOther + word])
        throw keyDiffers(one, other, slot, word * 4);
    const lines = other.arena.u32[other.columns.dirtyLines + slot]!;
    for (let line = 0; line < KEY_LINE_COUNT; line += 1) {
      const from = firstOther + line * (KEY_LINE_BYTES / 4);
      const isZero = other.arena.i32.subarray(from, from + KEY_LINE_BYTES / 4).every((value) => value === 0);
      if (!isZero && ((lines >>> line) & 1) === 0)
        throw new Differs("extraction", `key line ${line}`, "said to be in use", "said to be zero", slot);
    }
  }

  #compareCounters(): void {
    for (const [index, { name }] of COUNTERS.entries()) {
      if (OWN_COUNTERS.has(name) || (name === "masks_probed" && !this.#comparesProbes)) continue;
      this.#compareCount(`counter ${name}`, THREAD.counters + index * 8);
    }
    for (const [reason, { name }] of DROP_REASONS.entries())
      this.#compareCount(`drops for ${name}`, THREAD.drops + reason * 8);
  }

  #compareCount(what: string, counter: number): void {
    const [expected, found] = [this.reference, this.program].map(({ arena }) => {
      const block = arena.region("threads").offset + THREAD_INDEX * THREAD_BLOCK_BYTES;
      return arena.counter(block + counter);
    });
    if (expected !== found) throw new Differs("counters", what, `${expected}`, `${found}`);
  }

  #compareStatistics(): void {
    const [one, other] = [this.reference.arena, this.program.arena];
    const root = one.region("tableRoot").offset >>> 2;
    const first = workerStatsOffset(one, 0) >>> 2;
    const words = FLOW_STATS_BYTES / 4;
    const end = first + (one.u32[root + ROOT.highWater]! + 1) * words;
    for (let word = first; word < end; word += 1) {
      if (one.u32[word] === other.u32[word]) continue;
      const flowNo = Math.floor((word - first) / words);
      const name = Object.entries(STATS).findLast(([, offset]) => offset <= ((word - first) % words) * 4)![0];
      throw new Differs(
        "flow statistics",
        `${name} of flow ${flowNo}`,
        `${one.u32[word]}`,
        `${other.u32[word]}`,
      );
    }
  }
}

function keyDiffers(one: World, other: World, slot: number, at: number): Differs {
  const field = FIELDS.find(({ offset, bytes }) => offset + bytes > at) ?? FIELDS.at(-1)!;
  const [expected, found] = [one, other].map(({ arena, columns }) => {
    const key = columns.keys + slot * KEY_BYTES;
    return bytesToHex(arena.u8.slice(key + at, key + at + 4));
  });
  return new Differs("extraction", `key at byte ${at}, in or before ${field.name}`, expected!, found!, slot);
}

/** @throws Differs of the first line in which they do */
function compareLines(stage: "outputs", expected: readonly string[], found: readonly string[]): void {
  for (let index = 0; index < Math.max(expected.length, found.length); index += 1) {
    if (expected[index] === found[index]) continue;
    throw new Differs(stage, `number ${index + 1}`, expected[index] ?? "none", found[index] ?? "none");
  }
}

/** Returns the flow's number; 0 when another flow is in its way. */
function putFlow({ arena, table }: World, key: Uint8Array, mask: CompiledMask, list: Uint8Array): number {
  const put = table.put({
    key,
    mask: mask.bytes,
    actions: list,
    create: true,
    modify: false,
    operator: true,
    nowMillis: 0,
  });
  if (put.error !== null) return 0;
  // In the switch's own table masks got their numbers in another order.
  const subtable = arena.u32[flowWord(arena, put.flowNo) + FLOW.state]! >>> 16;
  arena.i32[subtableWord(arena, subtable) + SUBTABLE.maskNumber] = mask.number;
  return put.flowNo;
}

/** What lists may refer to: a meter that lets little pass and one that lets all pass, and bonds of every port. */
function setMetersAndBonds({ arena }: World): void {
  const meters = new MeterTable(arena);
  meters.set(0, { unit: "pktps", bands: [{ rate: 1000, burst: 3 }] });
  meters.set(1, { unit: "kbps", bands: [{ rate: 0xffffffff }] });
  const bonds = new BondTable(arena);
  for (const bond of [0, 1])
    bonds.set(
      bond,
      Array.from({ length: BOND_BUCKETS }, (_, bucket) => OUT_PORTS[(bucket + bond) % OUT_PORTS.length]!),
    );
}
