// Meters as a worker sees them. A bucket is shared by all workers and exact; the workers' shared writes are two for each
// meter and burst, not one for each packet.
//
// At the first packet of a burst that meets a meter the worker draws as much from its bucket as the burst may need, spends
// it packet by packet on its own, and gives back what is left when the burst is over. Nothing is spent twice and nothing
// stays with a worker, so over any time all workers together pass at most one burst and what the rate allows; while one
// of them works on its burst, another may find the bucket emptier than it will be by that burst's rest.
//
// A bucket's state is one time (meter-layout.ts), as in the virtual scheduling form of the generic cell rate algorithm (ITU-T I.371): cost and
// capacity are times too, at the band's rate. A packet that exceeds several bands is the band's with the highest rate, as in OVS.
//
// Per packet: a look for the meter among those of the burst, a comparison and a subtraction for each band. Per burst and
// meter: one intrinsic for each band at the start and at the end. Memory: `meters` (shared). Counters: meter_unknown.
import type { Arena } from "../memory/arena.ts";
import { BATCH_SIZE } from "../memory/batch-layout.ts";
import { METER_BYTES, METER_COUNT_MAX } from "../memory/region-plan.ts";
import { METER, METER_BAND, METER_BAND_BYTES, METER_BANDS_MAX, METER_UNIT } from "./meter-layout.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const BANDS_MAX = METER_BANDS_MAX;
const BAND_BYTES = METER_BAND_BYTES;
const BANDS_AT = METER.bands;
const RATE_AT = METER_BAND.rate;
const BURST_AT = METER_BAND.burstMillis;
const EMPTY_AT = METER_BAND.empty;
const KBPS = METER_UNIT.kbps;
/** Meters that one burst may hold open; one more closes the others first. */
const OPEN_MAX = 16;
/** A packet's cost at a rate of 1: a thousand thousandths of a packet, or its bits as thousandths of a kilobit. */
const PACKET_TOKENS = 1000;
const BYTE_TOKENS = 8;
const NONE_EXCEEDED = -1;

export class Meters {
  /** Packets that met a meter that does not exist, and passed; the reader sets it back to 0. */
  unknown = 0;

  readonly #arena: Arena;
  readonly #u32: Uint32Array;
  readonly #f64: Float64Array;
  readonly #now: Float64Array;
  readonly #region: number;
  /** Open meters: their numbers, and what the burst has counted of each. */
  readonly #ids = new Int32Array(OPEN_MAX);
  readonly #packets = new Int32Array(OPEN_MAX);
  readonly #bytes = new Float64Array(OPEN_MAX);
  /** By open meter and band: what is drawn and not spent, in milliseconds; whether the bucket was found empty; drops. */
  readonly #drawn = new Float64Array(OPEN_MAX * BANDS_MAX);
  readonly #isEmpty = new Uint8Array(OPEN_MAX * BANDS_MAX);
  readonly #dropPackets = new Int32Array(OPEN_MAX * BANDS_MAX);
  readonly #dropBytes = new Float64Array(OPEN_MAX * BANDS_MAX);
  #openCount = 0;

  /** @param now [0] the burst's time in milliseconds */
  constructor(arena: Arena, now: Float64Array) {
    this.#arena = arena;
    this.#u32 = arena.u32;
    this.#f64 = arena.f64;
    this.#now = now;
    this.#region = arena.region("meters").offset;
  }

  /** Whether a packet passes the meter. A meter that does not exist lets every packet pass, as in OVS. */
  admits(id: number, packetBytes: number): boolean {
    const record = this.#region + id * METER_BYTES;
    if (id >= METER_COUNT_MAX || this.#u32[record >>> 2] === 0) {
      this.unknown += 1;
      return true;
    }
    const open = this.#open(id);
    this.#packets[open]! += 1;
    this.#bytes[open]! += packetBytes;
    const tokens =
      this.#u32[(record + METER.unit) >>> 2] === KBPS ? packetBytes * BYTE_TOKENS : PACKET_TOKENS;
    const bandCount = Math.min(this.#u32[(record + METER.bandCount) >>> 2]!, BANDS_MAX);
    let exceeded = NONE_EXCEEDED;
    let exceededRate = 0;
    for (let band = 0; band < bandCount; band += 1) {
      const at = record + BANDS_AT + band * BAND_BYTES;
      const rate = this.#f64[(at + RATE_AT) >>> 3]!;
      if (this.#spend(open * BANDS_MAX + band, at, tokens / rate) || rate <= exceededRate) continue;
      exceeded = open * BANDS_MAX + band;
      exceededRate = rate;
    }
    if (exceeded === NONE_EXCEEDED) return true;
    this.#dropPackets[exceeded]! += 1;
    this.#dropBytes[exceeded]! += packetBytes;
    return false;
  }

  /** The burst is over: what it did not spend goes back, what it counted is added. */
  settle(): void {
    for (let open = 0; open < this.#openCount; open += 1) this.#close(open);
    this.#openCount = 0;
  }

  /** Spends `millis` of what is drawn, and draws when that is not enough. */
  #spend(index: number, band: number, millis: number): boolean {
    if (this.#drawn[index]! < millis) {
      if (this.#isEmpty[index] !== 0) return false;
      const missing = millis - this.#drawn[index]!;
      const burst = this.#f64[(band + BURST_AT) >>> 3]!;
      const now = this.#now[0]!;
      const wanted = missing + millis * (BATCH_SIZE - 1);
      this.#drawn[index]! += this.#arena.intrinsics.bucketDraw(band + EMPTY_AT, now, wanted, burst);
      if (this.#drawn[index]! < millis) {
        this.#isEmpty[index] = 1;
        return false;
      }
    }
    this.#drawn[index]! -= millis;
    return true;
  }

  #open(id: number): number {
    for (let open = 0; open < this.#openCount; open += 1) if (this.#ids[open] === id) return open;
    if (this.#openCount === OPEN_MAX) this.settle();
    const open = this.#openCount;
    this.#openCount = open + 1;
    this.#ids[open] = id;
    this.#packets[open] = 0;
    this.#bytes[open] = 0;
    for (let index = open * BANDS_MAX; index < (open + 1) * BANDS_MAX; index += 1) {
      this.#drawn[index] = 0;
      this.#isEmpty[index] = 0;
      this.#dropPackets[index] = 0;
      this.#dropBytes[index] = 0;
    }
    return open;
  }

  #close(open: number): void {
    const { intrinsics } = this.#arena;
    const record = this.#region + this.#ids[open]! * METER_BYTES;
    intrinsics.addShared(record + METER.packets, this.#packets[open]!);
    intrinsics.addShared(record + METER.bytes, this.#bytes[open]!);
    for (let band = 0; band < BANDS_MAX; band += 1) {
      const index = open * BANDS_MAX + band;
      const at = record + BANDS_AT + band * BAND_BYTES;
      if (this.#drawn[index]! > 0) intrinsics.bucketReturn(at + EMPTY_AT, this.#drawn[index]!);
      if (this.#dropPackets[index]! === 0) continue;
      intrinsics.addShared(at + METER_BAND.packets, this.#dropPackets[index]!);
      intrinsics.addShared(at + METER_BAND.bytes, this.#dropBytes[index]!);
    }
  }
}
