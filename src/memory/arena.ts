// The arena: one shared WebAssembly.Memory with everything that threads share, and the views over it.
// Initial size equals maximum size, so the memory never moves or grows and no view ever detaches.
import { type Intrinsics, instantiateIntrinsics } from "./intrinsics.ts";
import { type ArenaSizes, planRegions, type Region, type RegionPlan } from "./region-plan.ts";

const WASM_PAGE_BYTES = 65536;

/** What a thread needs to open the arena: both parts survive structured cloning. */
export interface ArenaHandle {
  readonly memory: WebAssembly.Memory;
  readonly plan: RegionPlan;
}

export class Arena implements ArenaHandle {
  readonly memory: WebAssembly.Memory;
  readonly plan: RegionPlan;
  readonly intrinsics: Intrinsics;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  /** Control path only: BigInt values. */
  readonly u64: BigUint64Array;

  constructor(handle: ArenaHandle) {
    const { memory, plan } = handle;
    this.memory = memory;
    this.plan = plan;
    this.intrinsics = instantiateIntrinsics(memory);
    this.u8 = new Uint8Array(memory.buffer);
    this.u16 = new Uint16Array(memory.buffer);
    this.u32 = new Uint32Array(memory.buffer);
    this.i32 = new Int32Array(memory.buffer);
    this.f64 = new Float64Array(memory.buffer);
    this.u64 = new BigUint64Array(memory.buffer);
  }

  /** Makes the memory and lays it out. @throws RangeError when the sizes do not fit. */
  static create(sizes: ArenaSizes): Arena {
    const plan = planRegions(sizes);
    const pages = Math.ceil(plan.bytes / WASM_PAGE_BYTES);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    return new Arena({ memory, plan });
  }

  /** What another thread opens the arena with. */
  handle(): ArenaHandle {
    return { memory: this.memory, plan: this.plan };
  }

  region(name: string): Region {
    const region = this.plan.regions[name];
    if (region === undefined) throw new Error(`arena: there is no region "${name}"`);
    return region;
  }

  /** A 64-bit counter as a number; exact to 2^53. */
  counter(address: number): number {
    return Number(this.u64[address >>> 3]!);
  }
}
