// The neighbour table: link-layer addresses of next hops, learned from ARP replies and neighbour advertisements or set
// by the operator; both age alike, as in OVS. Control path.
import type { Ip } from "./ip.ts";

/** NEIGH_ENTRY_DEFAULT_IDLE_TIME_MS and NEIGH_ENTRY_MAX_AGING_TIME_S of OVS. */
const AGING_MILLIS_DEFAULT = 900_000;
export const AGING_SECONDS_MAX = 3600;
/** A flood of forged replies must not take the memory: more than any network segment has. */
const NEIGHBOUR_COUNT_MAX = 16_384;

export interface Neighbour {
  /** The port that it is reached by. */
  readonly portName: string;
  readonly ip: Ip;
  readonly mac: Uint8Array;
}

interface Entry extends Neighbour {
  expiresMillis: number;
}

const idOf = (portName: string, ip: Ip): string => `${ip} ${portName}`;

export class NeighbourTable {
  readonly #entries = new Map<string, Entry>();
  #agingMillis = AGING_MILLIS_DEFAULT;

  /** Entries in the order in which they were set. */
  list(): readonly Neighbour[] {
    return [...this.#entries.values()];
  }

  find(portName: string, ip: Ip): Neighbour | undefined {
    return this.#entries.get(idOf(portName, ip));
  }

  /** True when something changed but the time; false also when the table is full. */
  set(neighbour: Neighbour, nowMillis: number): boolean {
    const id = idOf(neighbour.portName, neighbour.ip);
    const known = this.#entries.get(id);
    const expiresMillis = nowMillis + this.#agingMillis;
    if (known?.mac.every((byte, index) => byte === neighbour.mac[index])) {
      known.expiresMillis = expiresMillis;
      return false;
    }
    if (known === undefined && this.#entries.size >= NEIGHBOUR_COUNT_MAX) return false;
    this.#entries.delete(id);
    this.#entries.set(id, { ...neighbour, expiresMillis });
    return true;
  }

  /** True when there was one. */
  flush(): boolean {
    const had = this.#entries.size > 0;
    this.#entries.clear();
    return had;
  }

  /** Removes entries of a port that is gone. */
  removePort(portName: string): void {
    for (const [id, entry] of this.#entries) if (entry.portName === portName) this.#entries.delete(id);
  }

  /** Removes what expired. True when there was something. */
  age(nowMillis: number): boolean {
    let changed = false;
    for (const [id, { expiresMillis }] of this.#entries) {
      if (expiresMillis > nowMillis) continue;
      this.#entries.delete(id);
      changed = true;
    }
    return changed;
  }

  get agingSeconds(): number {
    return this.#agingMillis / 1000;
  }

  /** Shortens what would live longer. */
  setAging(seconds: number, nowMillis: number): void {
    this.#agingMillis = seconds * 1000;
    for (const entry of this.#entries.values()) {
      entry.expiresMillis = Math.min(entry.expiresMillis, nowMillis + this.#agingMillis);
    }
  }
}
