// The table of meters: control's side. Workers read it in bursts (meters.ts); a meter that is set anew starts with full
// buckets and no counts, and a packet in flight meanwhile is metered by the old bands or the new ones, or passes.
import type { Arena } from "../memory/arena.ts";
import { METER_BYTES, METER_COUNT_MAX } from "../memory/region-plan.ts";
import { METER, METER_BAND, METER_BAND_BYTES, METER_BANDS_MAX, METER_UNIT } from "./meter-layout.ts";

export type MeterUnit = keyof typeof METER_UNIT;

export interface MeterBand {
  /** Packets or kilobits a second. */
  readonly rate: number;
  /** Packets or kilobits; 0 or absent: as much as the rate gives in a second, as in OVS. */
  readonly burst?: number | undefined;
}

export interface MeterSpec {
  readonly unit: MeterUnit;
  readonly bands: readonly MeterBand[];
}

export interface MeterView {
  readonly id: number;
  readonly unit: MeterUnit;
  readonly packets: number;
  readonly bytes: number;
  readonly bands: readonly {
    readonly rate: number;
    readonly burst: number;
    readonly packets: number;
    readonly bytes: number;
  }[];
}

/** OpenFlow's rates and bursts have 32 bits. */
const RATE_MAX = 0xffffffff;
const MILLIS_PER_SECOND = 1000;
/** So long before any clock that a bucket is full. */
const LONG_AGO = -1e15;

export class MeterTable {
  readonly #arena: Arena;
  readonly #region: number;
  /** Meters that exist: a list stops behind the last one, so that it touches no more of the region than was used. */
  #count = 0;

  /** One for each arena: it counts the meters that it makes. */
  constructor(arena: Arena) {
    this.#arena = arena;
    this.#region = arena.region("meters").offset;
  }

  /** @throws RangeError that names the meter and what of it is out of range; nothing has changed then */
  set(id: number, { unit, bands }: MeterSpec): void {
    this.#check(id);
    checkBands(id, bands);
    const record = this.#record(id);
    const { u32, f64, intrinsics } = this.#arena;
    if (!this.has(id)) this.#count += 1;
    intrinsics.store(record, 0);
    u32.fill(0, (record + 4) >>> 2, (record + METER_BYTES) >>> 2);
    u32[(record + METER.unit) >>> 2] = METER_UNIT[unit];
    u32[(record + METER.bandCount) >>> 2] = bands.length;
    for (const [index, { rate, burst }] of bands.entries()) {
      const at = record + METER.bands + index * METER_BAND_BYTES;
      f64[(at + METER_BAND.rate) >>> 3] = rate;
      f64[(at + METER_BAND.burstMillis) >>> 3] = ((burst || rate) * MILLIS_PER_SECOND) / rate;
      f64[(at + METER_BAND.empty) >>> 3] = LONG_AGO;
    }
    // Pairs with nothing stronger than a worker's plain load: the bands were stored before.
    intrinsics.store(record, 1);
  }

  /** False when there is no such meter. */
  remove(id: number): boolean {
    if (!this.has(id)) return false;
    this.#arena.intrinsics.store(this.#record(id), 0);
    this.#count -= 1;
    return true;
  }

  has(id: number): boolean {
    return id >= 0 && id < METER_COUNT_MAX && this.#arena.u32[this.#record(id) >>> 2] !== 0;
  }

  /** All meters, by number. */
  list(): MeterView[] {
    const views: MeterView[] = [];
    for (let id = 0; id < METER_COUNT_MAX && views.length < this.#count; id += 1) {
      const view = this.view(id);
      if (view !== undefined) views.push(view);
    }
    return views;
  }

  /** What the meter is and has counted; undefined when there is none. */
  view(id: number): MeterView | undefined {
    if (!this.has(id)) return undefined;
    const record = this.#record(id);
    const { u32, f64 } = this.#arena;
    const count = (at: number): number => this.#arena.counter(at);
    const bands = Array.from({ length: u32[(record + METER.bandCount) >>> 2]! }, (_, index) => {
      const at = record + METER.bands + index * METER_BAND_BYTES;
      const rate = f64[(at + METER_BAND.rate) >>> 3]!;
      return {
        rate,
        burst: Math.round((f64[(at + METER_BAND.burstMillis) >>> 3]! * rate) / MILLIS_PER_SECOND),
        packets: count(at + METER_BAND.packets),
        bytes: count(at + METER_BAND.bytes),
      };
    });
    const unit = u32[(record + METER.unit) >>> 2] === METER_UNIT.kbps ? "kbps" : "pktps";
    return { id, unit, packets: count(record + METER.packets), bytes: count(record + METER.bytes), bands };
  }

  #record(id: number): number {
    return this.#region + id * METER_BYTES;
  }

  #check(id: number): void {
    if (!Number.isInteger(id) || id < 0 || id >= METER_COUNT_MAX) {
      throw new RangeError(`meter ${id}: meters are numbered 0 to ${METER_COUNT_MAX - 1}`);
    }
  }
}

function checkBands(id: number, bands: readonly MeterBand[]): void {
  if (bands.length === 0 || bands.length > METER_BANDS_MAX) {
    throw new RangeError(`meter ${id}: ${bands.length} bands, a meter has 1 to ${METER_BANDS_MAX}`);
  }
  for (const [index, { rate, burst = 0 }] of bands.entries()) {
    if (!Number.isInteger(rate) || rate < 1 || rate > RATE_MAX) {
      throw new RangeError(`meter ${id}: band ${index}: rate ${rate}, it must be 1 to ${RATE_MAX}`);
    }
    if (!Number.isInteger(burst) || burst < 0 || burst > RATE_MAX) {
      throw new RangeError(`meter ${id}: band ${index}: burst ${burst}, it must be 0 to ${RATE_MAX}`);
    }
  }
}
