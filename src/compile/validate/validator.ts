// Translation validation: a program is held against the reference before it is published.
//
// Two arenas with the layout and the hash seed of the switch's own are made, because a program is bound to both. They get
// flows under the program's masks, with the same numbers of masks and of lists' shapes as in the switch's table, and the
// same bursts of packets go through an engine of each, one with the program and one without. What is checked:
//
// - look-ups of keys around flows of every mask, bit by bit (keys-check.ts);
// - packets through the whole engine (packets-check.ts): keys and columns that extraction wrote, flows, what left and in
//   which order, byte by byte with the records of its frames, misses and upcalls with their keys, drops by reason, every
//   counter, the flows' statistics, and that no frame is lost.
//
// What the program's transmit pass and its receivers do is not checked here: outputs are read off the list that actions
// write, which is what their order and ports are compared by.
//
// Everything random comes from one seed, so that a report can be repeated. The first difference refuses the program.
import type { Program } from "../../datapath/program.ts";
import { FIELDS, type FieldName, KEY_BYTES } from "../../flow/fields.ts";
import { newKey, setOnes } from "../../flow/key.ts";
import type { Arena } from "../../memory/arena.ts";
import type { ArenaSizes } from "../../memory/region-plan.ts";
import type { CompiledMask } from "../emit/lookup.ts";
import { instantiateProgram, type ProgramSource } from "../program-module.ts";
import { type Difference, Differs, flowText } from "./difference.ts";
import { checkKeys } from "./keys-check.ts";
import { type CapturedPacket, PacketsCheck } from "./packets-check.ts";
import { SeededRandom } from "./random.ts";
import { Twins } from "./twins.ts";
import { type LaidPacket, THREAD_INDEX } from "./world.ts";

/** What a program is bound to. */
export interface ValidationTarget {
  readonly sizes: ArenaSizes;
  readonly hashSeed: number;
}

export interface ValidationInput extends ValidationTarget {
  readonly module: WebAssembly.Module;
  readonly source: ProgramSource;
  /** Of everything drawn. */
  readonly seed: number;
  readonly captured?: readonly CapturedPacket[];
}

export interface Verdict {
  readonly seed: number;
  /** Null when the program does as the reference does. */
  readonly difference: Difference | null;
  readonly keyCount: number;
  readonly packetCount: number;
  /** Shapes that fewer packets met than they should have. */
  readonly scarceShapeCount: number;
  readonly millis: number;
}

/** Masks that the program does not know: its general probe serves them. */
const GENERAL_MASKS: readonly CompiledMask[] = [
  generalMask(
    "everything",
    FIELDS.map(({ name }) => name),
  ),
  generalMask("conversation", [
    "in_port",
    "eth_type",
    "nw_proto",
    "nw_frag",
    "nw_src",
    "nw_dst",
    "tp_src",
    "tp_dst",
  ]),
  generalMask("link", ["in_port", "recirc_id", "eth_src", "eth_dst", "vlan_tci"]),
];

function generalMask(name: string, fields: readonly FieldName[]): CompiledMask {
  const bytes = newKey();
  for (const field of fields) setOnes(bytes, field);
  return { number: 0, name, bytes };
}

/** Takes some hundred milliseconds of the calling thread. */
export function validateProgram(input: ValidationInput): Verdict {
  const start = performance.now();
  const run = new Validation(input);
  const difference = run.difference();
  return { seed: input.seed, difference, ...run.counts, millis: performance.now() - start };
}

class Validation {
  readonly #input: ValidationInput;
  readonly #random: SeededRandom;
  #twins: Twins | null = null;
  #check: PacketsCheck | null = null;
  #keyCount = 0;
  #packetCount = 0;
  #burst: readonly LaidPacket[] = [];
  #portNo = 0;

  constructor(input: ValidationInput) {
    this.#input = input;
    this.#random = new SeededRandom(input.seed);
  }

  get counts(): Pick<Verdict, "keyCount" | "packetCount" | "scarceShapeCount"> {
    return {
      keyCount: this.#keyCount,
      packetCount: this.#packetCount,
      scarceShapeCount: this.#check?.scarceShapes ?? 0,
    };
  }

  /** The first one; null when there is none. */
  difference(): Difference | null {
    try {
      this.#run();
      return null;
    } catch (error) {
      return this.#describe(error as Error);
    }
  }

  #run(): void {
    const known = bySpecificity(this.#input.source.masks);
    // The cache of look-ups serves while the program knows all masks, so they are tried by themselves.
    if (known.length > 0) this.#tryMasks(known);
    this.#tryMasks(bySpecificity([...known, ...GENERAL_MASKS]));
  }

  #tryMasks(masks: readonly CompiledMask[]): void {
    const { source, sizes, captured = [] } = this.#input;
    this.#burst = [];
    const twins = this.#makeTwins();
    this.#twins = twins;
    this.#keyCount += checkKeys(twins, masks, this.#random);
    this.#check = new PacketsCheck({
      twins,
      masks,
      lists: source.shapes.map(({ example }) => example),
      captured,
      vlanLimit: source.vlanLimit,
      frameBytes: sizes.frameBytes,
      random: this.#random,
      onBurst: (packets, portNo) => {
        this.#burst = packets;
        this.#portNo = portNo;
        this.#packetCount += packets.length;
      },
    });
    this.#check.run();
  }

  #makeTwins(): Twins {
    const { sizes, hashSeed, source, module } = this.#input;
    const makeProgram = (arena: Arena): Program => instantiateProgram(arena, THREAD_INDEX, module);
    const twins = new Twins(
      { sizes, hashSeed, vlanLimit: source.vlanLimit },
      makeProgram,
      source.masks.length,
    );
    twins.numberShapes(source.shapes);
    return twins;
  }

  #describe(error: Error): Difference {
    const differs = asDiffers(error);
    const { packet, found } = this.#alone(differs);
    const packets = packet === null ? this.#burst : [packet];
    return { ...found.difference, packets, inPort: this.#portNo, flow: this.#flowOf(packets) };
  }

  /** A difference of a burst, as one packet alone shows it where it does. */
  #alone(differs: Differs): { packet: LaidPacket | null; found: Differs } {
    if (this.#burst.length > 1 && this.#twins !== null) {
      for (const packet of this.#burst) {
        try {
          this.#twins.again().burst([packet], this.#portNo);
        } catch (error) {
          return { packet, found: asDiffers(error as Error) };
        }
      }
    }
    return { packet: this.#burst.length === 1 ? this.#burst[0]! : null, found: differs };
  }

  #flowOf(packets: readonly LaidPacket[]): string {
    if (packets.length !== 1 || this.#twins === null) return "";
    const world = this.#twins.again().reference;
    const kept = world.receive(packets, this.#portNo);
    const flow = this.#check?.flow(world.look(kept)[0] ?? 0);
    if (flow === undefined) return "";
    return flowText(flow.key, flow.mask.bytes, flow.list, this.#input.source.vlanLimit);
  }
}

/** A trap, or an engine that a program has left in disorder, is a difference like others. */
const asDiffers = (error: Error): Differs =>
  error instanceof Differs
    ? error
    : new Differs("failure", error.message, "goes on", error.stack ?? error.message);

/** The most specific first: a flow is in the way of those put after it that are more specific. */
const bySpecificity = (masks: readonly CompiledMask[]): CompiledMask[] =>
  [...masks].sort((a, b) => bitCount(b.bytes) - bitCount(a.bytes));

function bitCount(mask: Uint8Array): number {
  let count = 0;
  for (let bit = 0; bit < KEY_BYTES * 8; bit += 1) count += (mask[bit >>> 3]! >>> (bit & 7)) & 1;
  return count;
}
