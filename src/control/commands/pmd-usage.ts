// What share of a worker's time each receive queue takes, over the last minute. A worker reads its clock once a loop,
// not once a queue, so the time of its busy loops is shared out by the packets that each port brought; queues of one port
// on one worker share alike. What handed-over and re-injected packets took is overhead.
import { readThreadTotals } from "../../datapath/counters.ts";
import { readThreadPortCounter } from "../../port/counters.ts";
import type { RxqAssignment } from "../queue-sharing.ts";
import type { SwitchView } from "../switch-view.ts";

export const USAGE_SAMPLE_SECONDS = 5;
export const USAGE_SECONDS_MAX = 60;

/** One worker between two ticks. */
interface Sample {
  readonly nanos: number;
  readonly overheadNanos: number;
  readonly nanosBySlot: ReadonlyMap<number, number>;
}

interface Totals {
  readonly busyNanos: number;
  readonly nanos: number;
  readonly packets: number;
  readonly packetsBySlot: ReadonlyMap<number, number>;
}

export class PmdUsage {
  readonly #view: SwitchView;
  readonly #last = new Map<number, Totals>();
  /** By worker, newest last. */
  readonly #samples = new Map<number, Sample[]>();

  constructor(view: SwitchView) {
    this.#view = view;
    for (const { index } of view.workers()) this.#last.set(index, this.#totals(index));
  }

  /** Called every USAGE_SAMPLE_SECONDS. */
  tick(): void {
    for (const { index } of this.#view.workers()) {
      const now = this.#totals(index);
      const samples = this.#samples.get(index) ?? [];
      samples.push(difference(this.#last.get(index) ?? now, now));
      if (samples.length > USAGE_SECONDS_MAX / USAGE_SAMPLE_SECONDS) samples.shift();
      this.#samples.set(index, samples);
      this.#last.set(index, now);
    }
  }

  /** Percent of its worker's time; undefined before the first sample. */
  ofRxq({ port: { slot }, worker }: RxqAssignment, seconds: number): number | undefined {
    const queueCount = this.#view.ports
      .rxqs()
      .filter((rxq) => rxq.worker === worker && rxq.port.slot === slot).length;
    const percent = this.#percent(worker, seconds, (sample) => sample.nanosBySlot.get(slot) ?? 0);
    return percent === undefined ? undefined : percent / queueCount;
  }

  overhead(worker: number, seconds: number): number | undefined {
    return this.#percent(worker, seconds, (sample) => sample.overheadNanos);
  }

  #percent(worker: number, seconds: number, part: (sample: Sample) => number): number | undefined {
    const samples = (this.#samples.get(worker) ?? []).slice(-seconds / USAGE_SAMPLE_SECONDS);
    const nanos = samples.reduce((sum, sample) => sum + sample.nanos, 0);
    if (nanos === 0) return undefined;
    return (100 * samples.reduce((sum, sample) => sum + part(sample), 0)) / nanos;
  }

  #totals(worker: number): Totals {
    const { arena, ports } = this.#view;
    const { counters } = readThreadTotals(arena, worker);
    const { nanos_busy: busyNanos, nanos_idle, nanos_asleep } = counters;
    const packetsBySlot = new Map(
      ports
        .rxqs()
        .filter((rxq) => rxq.worker === worker)
        .map(({ port: { slot } }) => [slot, readThreadPortCounter(arena, worker, slot, "rx_packets")]),
    );
    return {
      busyNanos,
      nanos: busyNanos + nanos_idle + nanos_asleep,
      packets: counters.lookup_hit + counters.lookup_miss,
      packetsBySlot,
    };
  }
}

function difference(before: Totals, now: Totals): Sample {
  const busyNanos = now.busyNanos - before.busyNanos;
  const packets = now.packets - before.packets;
  // A port that was not there before, or whose slot began anew, brought what it has.
  const brought = [...now.packetsBySlot].map(([slot, count]) => {
    const earlier = before.packetsBySlot.get(slot) ?? 0;
    return [slot, count < earlier ? count : count - earlier] as const;
  });
  const nanosBySlot = new Map(
    brought.map(([slot, count]) => [slot, packets === 0 ? 0 : busyNanos * Math.min(1, count / packets)]),
  );
  const ofPorts = [...nanosBySlot.values()].reduce((sum, nanos) => sum + nanos, 0);
  return { nanos: now.nanos - before.nanos, overheadNanos: Math.max(0, busyNanos - ofPorts), nanosBySlot };
}
