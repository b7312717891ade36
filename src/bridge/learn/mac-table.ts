// The MAC table: which port an address of a VLAN was last seen on. Bounded; when it is full the port with most
// addresses gives up the one that it has not used for longest, as in OVS, so that a flood on one port cannot push the
// others' addresses out.
//
// Each port's entries stand in the order of their last use (a Set keeps insertion order), so the oldest is the first.
// Nothing here takes long with any table size: the entries of a port that went are found to be void when they are
// looked up and taken out in slices, as are aged ones.

export interface MacEntry {
  readonly vlan: number;
  /** 48 bits. */
  readonly mac: number;
  readonly portNo: number;
  readonly usedMillis: number;
}

export interface MacTableCounts {
  learned: number;
  expired: number;
  evicted: number;
  moved: number;
}

interface Entry {
  readonly vlan: number;
  readonly mac: number;
  port: PortEntries;
  usedMillis: number;
  lockedUntilMillis: number;
}

interface PortEntries {
  readonly portNo: number;
  /** The port went; its entries are void. */
  isGone: boolean;
  readonly entries: Set<Entry>;
}

export class MacTable {
  readonly counts: MacTableCounts = { learned: 0, expired: 0, evicted: 0, moved: 0 };
  readonly #sizeMax: number;
  readonly #agingMillis: number;
  readonly #changed: (mac: number, seen: boolean) => void;
  /** By VLAN, then by address. */
  #vlans = new Map<number, Map<number, Entry>>();
  #ports = new Map<number, PortEntries>();
  #gone: PortEntries[] = [];
  #entryCount = 0;
  #goneCount = 0;

  /**
   * @param sizeMax most addresses
   * @param changed told each address whose port in some VLAN is another than before, and whether it was seen there
   * rather than forgotten
   */
  constructor(sizeMax: number, agingMillis: number, changed: (mac: number, seen: boolean) => void) {
    this.#sizeMax = sizeMax;
    this.#agingMillis = agingMillis;
    this.#changed = changed;
  }

  get size(): number {
    return this.#entryCount - this.#goneCount;
  }

  /** The port of an address, undefined when it is not known. */
  find(vlan: number, mac: number): number | undefined {
    const entry = this.#vlans.get(vlan)?.get(mac);
    return entry === undefined || entry.port.isGone ? undefined : entry.port.portNo;
  }

  /** An address was seen on a port. */
  learn(vlan: number, mac: number, portNo: number, seenMillis: number): void {
    const known = this.#vlans.get(vlan)?.get(mac);
    if (known === undefined) {
      if (this.#entryCount >= this.#sizeMax) this.#evict();
      this.#add(vlan, mac, portNo, seenMillis);
      this.counts.learned += 1;
      this.#changed(mac, true);
    } else if (known.port.isGone) {
      this.#goneCount -= 1;
      this.#settle(known, portNo, seenMillis);
      this.counts.learned += 1;
      this.#changed(mac, true);
    } else if (known.port.portNo === portNo) {
      if (seenMillis > known.usedMillis) this.#settle(known, portNo, seenMillis);
    } else if (seenMillis >= known.usedMillis) {
      // What was seen elsewhere before does not move the address back.
      this.#settle(known, portNo, seenMillis);
      this.counts.moved += 1;
      this.#changed(mac, true);
    }
  }

  /**
   * Packets of a megaflow came from the address until `usedMillis`. Unlike a packet that comes up now it does not move
   * an address that was seen elsewhere at that very time.
   */
  refresh(vlan: number, mac: number, portNo: number, usedMillis: number): void {
    const known = this.#vlans.get(vlan)?.get(mac);
    const isElsewhere = known !== undefined && !known.port.isGone && known.port.portNo !== portNo;
    if (!isElsewhere || usedMillis > known.usedMillis) this.learn(vlan, mac, portNo, usedMillis);
  }

  /** The address told of itself on a port of no bond: until then a bond's gratuitous ARP does not move it. */
  lock(vlan: number, mac: number, untilMillis: number): void {
    const known = this.#vlans.get(vlan)?.get(mac);
    if (known !== undefined) known.lockedUntilMillis = untilMillis;
  }

  isLocked(vlan: number, mac: number, nowMillis: number): boolean {
    const known = this.#vlans.get(vlan)?.get(mac);
    return known !== undefined && !known.port.isGone && nowMillis < known.lockedUntilMillis;
  }

  /** Takes out entries that are void or were not used for the aging time. True when `limit` of them were not all. */
  expire(nowMillis: number, limit: number): boolean {
    let left = limit;
    while (left > 0 && this.#removeGone()) left -= 1;
    for (const { entries } of this.#ports.values()) {
      for (const entry of entries) {
        if (left === 0 || nowMillis - entry.usedMillis < this.#agingMillis) break;
        this.#delete(entry);
        this.counts.expired += 1;
        this.#changed(entry.mac, false);
        left -= 1;
      }
    }
    return left === 0;
  }

  /** Forgets a port's addresses. The caller sees to everything that rests on them. */
  forgetPort(portNo: number): void {
    const port = this.#ports.get(portNo);
    if (port === undefined) return;
    port.isGone = true;
    this.#ports.delete(portNo);
    this.#gone.push(port);
    this.#goneCount += port.entries.size;
  }

  /** Forgets everything. The caller sees to everything that rests on it. */
  flush(): void {
    this.#vlans = new Map();
    this.#ports = new Map();
    this.#gone = [];
    this.#entryCount = 0;
    this.#goneCount = 0;
  }

  /** All entries in no order, one by one: the table may change between two steps. */
  *entries(): Generator<MacEntry> {
    for (const addresses of this.#vlans.values()) {
      for (const { vlan, mac, port, usedMillis } of addresses.values()) {
        if (!port.isGone) yield { vlan, mac, portNo: port.portNo, usedMillis };
      }
    }
  }

  /** All entries, the one unused for longest first, as OVS lists them. */
  list(): MacEntry[] {
    return [...this.entries()].sort((a, b) => a.usedMillis - b.usedMillis);
  }

  #add(vlan: number, mac: number, portNo: number, usedMillis: number): void {
    let addresses = this.#vlans.get(vlan);
    if (addresses === undefined) {
      addresses = new Map();
      this.#vlans.set(vlan, addresses);
    }
    const port = this.#portEntries(portNo);
    const entry: Entry = { vlan, mac, port, usedMillis, lockedUntilMillis: 0 };
    addresses.set(mac, entry);
    port.entries.add(entry);
    this.#entryCount += 1;
  }

  /** Puts an entry behind all others of a port. */
  #settle(entry: Entry, portNo: number, usedMillis: number): void {
    this.#leavePort(entry);
    entry.port = this.#portEntries(portNo);
    entry.usedMillis = usedMillis;
    entry.port.entries.add(entry);
  }

  #portEntries(portNo: number): PortEntries {
    let port = this.#ports.get(portNo);
    if (port === undefined) {
      port = { portNo, isGone: false, entries: new Set() };
      this.#ports.set(portNo, port);
    }
    return port;
  }

  #leavePort(entry: Entry): void {
    const { port } = entry;
    port.entries.delete(entry);
    if (port.entries.size === 0 && !port.isGone) this.#ports.delete(port.portNo);
  }

  #delete(entry: Entry): void {
    const addresses = this.#vlans.get(entry.vlan)!;
    addresses.delete(entry.mac);
    if (addresses.size === 0) this.#vlans.delete(entry.vlan);
    this.#leavePort(entry);
    this.#entryCount -= 1;
  }

  /** Takes one void entry out; false when there is none. */
  #removeGone(): boolean {
    for (let port = this.#gone.at(-1); port !== undefined; port = this.#gone.at(-1)) {
      for (const entry of port.entries) {
        this.#delete(entry);
        this.#goneCount -= 1;
        return true;
      }
      this.#gone.pop();
    }
    return false;
  }

  #evict(): void {
    if (this.#removeGone()) return;
    let fullest: PortEntries | undefined;
    for (const port of this.#ports.values()) {
      if (fullest === undefined || port.entries.size > fullest.entries.size) fullest = port;
    }
    for (const entry of fullest?.entries ?? []) {
      this.#delete(entry);
      this.counts.evicted += 1;
      this.#changed(entry.mac, false);
      return;
    }
  }
}
