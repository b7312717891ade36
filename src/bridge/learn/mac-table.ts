// The MAC table: which port an address of a VLAN was last seen on. Bounded; when it is full the port with most
// addresses gives up the one it has not used for longest, as in OVS, so that a flood on one port cannot push the others'
// addresses out.
//
// Each port's entries stand in the order of their last use (a Map keeps insertion order), so the oldest is the first.

export interface MacEntry {
  readonly vlan: number;
  /** 48 bits. */
  readonly mac: number;
  readonly portNo: number;
  usedMillis: number;
}

/** VLAN and address as one number would need 60 bits; a string keys them. */
const entryKey = (vlan: number, mac: number): string => `${vlan}/${mac}`;

export interface MacTableCounts {
  learned: number;
  expired: number;
  evicted: number;
  moved: number;
}

export class MacTable {
  readonly counts: MacTableCounts = { learned: 0, expired: 0, evicted: 0, moved: 0 };
  readonly #sizeMax: number;
  readonly #agingMillis: number;
  readonly #entries = new Map<string, MacEntry>();
  readonly #byPort = new Map<number, Map<string, MacEntry>>();

  constructor(sizeMax: number, agingMillis: number) {
    this.#sizeMax = sizeMax;
    this.#agingMillis = agingMillis;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The port of an address, undefined when it is not known. */
  find(vlan: number, mac: number): number | undefined {
    return this.#entries.get(entryKey(vlan, mac))?.portNo;
  }

  /**
   * An address was seen on a port. Calls `changed` for each address whose port is another than before: this one when it
   * is new or moved, and the one that had to give way.
   */
  learn(
    vlan: number,
    mac: number,
    portNo: number,
    nowMillis: number,
    changed: (vlan: number, mac: number) => void,
  ): void {
    const key = entryKey(vlan, mac);
    const known = this.#entries.get(key);
    if (known?.portNo === portNo) {
      if (nowMillis > known.usedMillis) this.#touch(key, known, nowMillis);
      return;
    }
    if (known !== undefined) {
      // What was seen earlier elsewhere does not move the address back.
      if (nowMillis < known.usedMillis) return;
      this.counts.moved += 1;
      this.#delete(key, known);
    } else {
      this.counts.learned += 1;
      if (this.#entries.size >= this.#sizeMax) this.#evict(changed);
    }
    const entry: MacEntry = { vlan, mac, portNo, usedMillis: nowMillis };
    this.#entries.set(key, entry);
    this.#portEntries(portNo).set(key, entry);
    changed(vlan, mac);
  }

  /**
   * Packets of a megaflow came from the address until `usedMillis`. Unlike a packet that comes up now it does not move
   * an address that was seen elsewhere at that very time.
   */
  refresh(
    vlan: number,
    mac: number,
    portNo: number,
    usedMillis: number,
    changed: (vlan: number, mac: number) => void,
  ): void {
    const known = this.#entries.get(entryKey(vlan, mac));
    if (known !== undefined && known.portNo !== portNo && usedMillis <= known.usedMillis) return;
    this.learn(vlan, mac, portNo, usedMillis, changed);
  }

  /** Removes what was not used for the aging time. */
  expire(nowMillis: number, changed: (vlan: number, mac: number) => void): void {
    for (const entries of this.#byPort.values()) {
      for (const [key, entry] of entries) {
        if (nowMillis - entry.usedMillis < this.#agingMillis) break;
        this.#delete(key, entry);
        this.counts.expired += 1;
        changed(entry.vlan, entry.mac);
      }
    }
  }

  forgetPort(portNo: number): void {
    for (const [key, entry] of this.#byPort.get(portNo) ?? []) this.#delete(key, entry);
  }

  flush(): void {
    this.#entries.clear();
    this.#byPort.clear();
  }

  /** All entries, the last used first. */
  list(): MacEntry[] {
    return [...this.#entries.values()].sort((a, b) => b.usedMillis - a.usedMillis);
  }

  #portEntries(portNo: number): Map<string, MacEntry> {
    let entries = this.#byPort.get(portNo);
    if (entries === undefined) {
      entries = new Map();
      this.#byPort.set(portNo, entries);
    }
    return entries;
  }

  #touch(key: string, entry: MacEntry, nowMillis: number): void {
    entry.usedMillis = nowMillis;
    const entries = this.#portEntries(entry.portNo);
    entries.delete(key);
    entries.set(key, entry);
  }

  #delete(key: string, entry: MacEntry): void {
    this.#entries.delete(key);
    const entries = this.#portEntries(entry.portNo);
    entries.delete(key);
    if (entries.size === 0) this.#byPort.delete(entry.portNo);
  }

  #evict(changed: (vlan: number, mac: number) => void): void {
    let fullest: Map<string, MacEntry> | undefined;
    for (const entries of this.#byPort.values()) {
      if (fullest === undefined || entries.size > fullest.size) fullest = entries;
    }
    for (const [key, entry] of fullest ?? []) {
      this.#delete(key, entry);
      this.counts.evicted += 1;
      changed(entry.vlan, entry.mac);
      return;
    }
  }
}
