// Everything that the addon exports, as TypeScript sees it; addon.cc has the same names in its table.
//
// Conventions. `arena` is a Uint8Array over the whole shared memory, offsets and lengths are bytes, every
// range is held against the view before the kernel sees it (RangeError). What the kernel refuses is thrown as
// a NativeError, with one exception: functions marked "hot" are called once a burst, throw nothing for what
// the kernel answers and return -errno. `netns` is a handle from netnsOpen, 0 for the namespace of the
// process.

/** XSK_RING of native.ts: rx, tx, fill, completion. */
export type XskRing = 0 | 1 | 2 | 3;

/** An error of a system call; message: `bind(AF_XDP, eth0 queue 3): EBUSY, Device or resource busy`. */
export interface NativeError extends Error {
  /** The errno's name: "EBUSY". */
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
  /** What the call was about: "AF_XDP, eth0 queue 3". */
  readonly object: string;
}

/** Offsets of a mapped AF_XDP ring's words from the start of the arena. */
export interface XskRingWords {
  readonly producer: number;
  readonly consumer: number;
  readonly flags: number;
  /** The first descriptor: 16 bytes each on RX and TX rings, 8 bytes on fill and completion rings. */
  readonly desc: number;
  readonly mappedBytes: number;
}

export interface XskStatistics {
  readonly rxDropped: number;
  readonly rxInvalidDescriptors: number;
  readonly txInvalidDescriptors: number;
  readonly rxRingFull: number;
  readonly rxFillRingEmpty: number;
  readonly txRingEmpty: number;
}

export interface XdpProgram {
  readonly programFd: number;
  readonly programId: number;
  readonly socketMapFd: number;
  /** One counter for each queue and one more for all queues beyond. */
  readonly counterMapFd: number;
}

type LinkCounter = "Packets" | "Bytes" | "Errors" | "Dropped";
export type LinkStatistics = Readonly<Record<`rx${LinkCounter}` | `tx${LinkCounter}`, number>>;

export interface Link {
  readonly ifindex: number;
  readonly name: string;
  readonly up: boolean;
  readonly running: boolean;
  readonly carrier: boolean;
  readonly promiscuous: boolean;
  readonly mtu: number;
  /** 0 when the driver names none. */
  readonly maxMtu: number;
  /** ifindex of the bond, bridge or other device that this link is part of; 0 for none. */
  readonly master: number;
  /** ifindex of the link below (VLAN) or at the other end (veth); 0 for none. */
  readonly lower: number;
  /** `lower` counts in another namespace. */
  readonly lowerElsewhere: boolean;
  readonly rxQueues: number;
  readonly txQueues: number;
  /** "veth", "bridge", "bond", "vlan", ...; "" for hardware. */
  readonly kind: string;
  readonly mac: string;
  /** Index into XDP_MODES. */
  readonly xdpMode: number;
  readonly xdpProgramId: number;
  readonly statistics: LinkStatistics;
}

export interface LinkEvent {
  readonly gone: boolean;
  readonly link: Link;
}

export interface InterfaceAddress {
  readonly ifindex: number;
  readonly family: "ipv4" | "ipv6";
  readonly address: string;
  readonly prefixLength: number;
}

/** One way of a route of the kernel; addresses are "" when there is none. */
export interface KernelRoute {
  readonly family: "ipv4" | "ipv6";
  /** "" for all addresses. */
  readonly destination: string;
  readonly prefixLength: number;
  readonly ifindex: number;
  /** May be of the other family. */
  readonly gateway: string;
  readonly source: string;
  readonly table: number;
  /** To an address of the machine itself. */
  readonly isLocal: boolean;
  readonly mark: number;
  readonly metric: number;
}

export interface KernelNeighbour {
  readonly ifindex: number;
  readonly family: "ipv4" | "ipv6";
  readonly address: string;
  readonly mac: Uint8Array;
}

export interface EthtoolDriver {
  readonly driver: string;
  readonly version: string;
  readonly busInfo: string;
}

export interface EthtoolChannels {
  readonly maxRx: number;
  readonly maxTx: number;
  readonly maxCombined: number;
  readonly rx: number;
  readonly tx: number;
  readonly combined: number;
}

export interface EthtoolFeature {
  readonly active: boolean;
  readonly fixed: boolean;
}

export interface PacketStatistics {
  readonly packets: number;
  readonly drops: number;
  readonly freezes: number;
}

export interface Native {
  /** The calling thread's kernel id, as in /proc/self/task. */
  threadId(): number;
  /** At most 15 bytes; ps and perf show it. */
  threadSetName(name: string): void;
  threadAffinity(): number[];
  threadSetAffinity(cpus: readonly number[], threadId?: number): void;

  /** CLOCK_MONOTONIC in milliseconds. */
  clockMilliseconds(): number;
  /** Hot. Stores CLOCK_MONOTONIC in nanoseconds as one 64-bit word at `offset`, a multiple of 8. */
  clockStore(arena: Uint8Array, offset: number): void;

  /** Zeroed 2 MiB pages under a 2 MiB-aligned range; what it held is lost. ENOMEM when too few are free. */
  pagesMapHuge(arena: Uint8Array, offset: number, length: number): void;
  /** Ordinary zeroed pages over whatever is mapped there; workers have passed a grace period before. */
  pagesMapAnonymous(arena: Uint8Array, offset: number, length: number): void;
  /** Makes every page present and writable now. */
  pagesPopulate(arena: Uint8Array, offset: number, length: number): void;
  /** Asks for transparent huge pages. */
  pagesAdviseHuge(arena: Uint8Array, offset: number, length: number): void;

  fdClose(fd: number): void;
  /**
   * Calls back on the event loop whenever `fd` is readable (status 0) or failed (a negative errno). Returns
   * the function that ends the watch; call it before the fd is closed. A watch doesn't keep the process
   * alive.
   */
  fdWatch(fd: number, callback: (status: number) => void): () => void;

  /**
   * A handle to a namespace by its name (`ip netns`) or path. It stays usable after capabilities were
   * dropped; open namespaces before. The same namespace gives the same handle.
   */
  netnsOpen(name: string): number;

  /**
   * Keeps these capabilities (CAPABILITY) and no others in every thread; sets no_new_privs. Returns the
   * threads.
   */
  privilegeDrop(capabilities: readonly number[]): number;

  xskOpen(netns: number): number;
  /** Descriptor addresses count from `offset`. */
  xskRegisterUmem(
    fd: number,
    arena: Uint8Array,
    offset: number,
    length: number,
    chunkBytes: number,
    headroomBytes: number,
  ): void;
  xskSetRing(fd: number, ring: XskRing, entries: number): void;
  /**
   * Descriptors that one kick sends in copy mode (32 by default); false where the kernel has no such option.
   */
  xskSetTxBudget(fd: number, budget: number): boolean;
  /** Bytes, in whole pages, that mapping the ring takes. */
  xskRingBytes(fd: number, ring: XskRing, entries: number): number;
  /** Maps the ring over arena pages. When it fails the range holds zeroed pages. */
  xskMapRing(
    fd: number,
    ring: XskRing,
    entries: number,
    arena: Uint8Array,
    offset: number,
    length: number,
  ): XskRingWords;
  /** `umemFd` counts only under XDP_BIND.sharedUmem. `name` is for the error. */
  xskBind(fd: number, ifindex: number, queue: number, flags: number, umemFd: number, name: string): void;
  /** Hot. 0 or -errno. */
  xskKickTx(fd: number): number;
  /** Hot. 0 or -errno. */
  xskKickRx(fd: number): number;
  xskStatistics(fd: number): XskStatistics;
  xskIsZeroCopy(fd: number): boolean;

  /** Loads the redirect program (native/xdp_prog.h); `frags`: it takes packets in several buffers. */
  bpfXdpLoad(queueCount: number, frags: boolean): XdpProgram;
  /** The link's fd: closing it, or the end of the process, detaches. `flags`: XDP_ATTACH or 0. */
  bpfXdpAttach(netns: number, programFd: number, ifindex: number, flags: number, name: string): number;
  bpfSocketSet(socketMapFd: number, queue: number, xskFd: number): void;
  bpfSocketDelete(socketMapFd: number, queue: number): void;
  /** Packets dropped on a queue for want of a socket; slot `queueCount` counts all queues beyond. */
  bpfUnservedRead(counterMapFd: number, slot: number): number;
  /** Any loaded program; EPERM without CAP_SYS_ADMIN. */
  bpfProgramInfo(id: number): { readonly id: number; readonly name: string; readonly tag: string };

  /** For tests: a program that sends frames out of `ifindex`, 6 random bits in the byte at `randomAt`. */
  bpfSourceLoad(ifindex: number, randomAt: number): number;
  /** Sends `count` copies of a frame as XDP frames, as fast as this CPU makes them. */
  bpfSourceRun(
    netns: number,
    programFd: number,
    arena: Uint8Array,
    offset: number,
    length: number,
    count: number,
  ): void;

  /** Unbound. With `vnetHeader` 10 bytes of virtio_net_hdr stand before each frame, received and sent. */
  packetOpen(netns: number, vnetHeader: boolean, qdiscBypass: boolean): number;
  /** A TPACKET_V3 receive ring over arena pages. */
  packetMapRing(
    fd: number,
    arena: Uint8Array,
    offset: number,
    blockBytes: number,
    blockCount: number,
    retireMs: number,
  ): void;
  packetBind(fd: number, ifindex: number, name: string): void;
  /** It receives nothing until packetUnmute: for the time between bind and joining a fanout. */
  packetMute(fd: number): void;
  packetUnmute(fd: number): void;
  /** A group of its own with this socket in it; `type`: PACKET_FANOUT. After bind. Returns the group. */
  packetNewFanout(fd: number, type: number): number;
  /** After bind. */
  packetJoinFanout(fd: number, group: number, type: number): void;
  /** Holds for as long as the socket lives. */
  packetSetPromiscuous(fd: number, ifindex: number, name: string): void;
  /**
   * Hot. Sends frames given as u32 pairs {offset, length} at `segments` (SEGMENT_CONTINUES chains them), at
   * most SEGMENTS_MAX. Returns the frames sent, or -errno when the first was refused.
   */
  packetSend(fd: number, arena: Uint8Array, segments: number, segmentCount: number): number;
  /** Since the last call. */
  packetStatistics(fd: number): PacketStatistics;

  /** One queue of a multi-queue tap with a 12-byte virtio_net_hdr; the tap goes with its last queue. */
  tapOpen(netns: number, name: string, checksumOffload: boolean): number;
  /**
   * Hot. Reads up to `packetCount` packets. `frames` holds segmentsPerPacket u32 arena offsets a packet, each
   * taking segmentBytes, filled in order; `packets` gets TAP_PACKET_BYTES a packet: {u32 length, bit 31: cut;
   * header}. Returns the packets read, or -errno when the first read failed (an empty queue is 0).
   */
  tapRead(
    fd: number,
    arena: Uint8Array,
    frames: number,
    packetCount: number,
    segmentsPerPacket: number,
    segmentBytes: number,
    packets: number,
  ): number;
  /**
   * Hot. Segments as in packetSend, headers as in tapRead (the length word is not read). Packets or -errno.
   */
  tapWrite(fd: number, arena: Uint8Array, segments: number, segmentCount: number, packets: number): number;

  /** The fd that the link, address and route queries of a namespace take. */
  linkOpen(netns: number): number;
  linkList(fd: number): Link[];
  linkByName(fd: number, name: string): Link | undefined;
  linkByIndex(fd: number, ifindex: number): Link | undefined;
  linkSetUp(fd: number, ifindex: number, up: boolean, name: string): void;
  linkSetMtu(fd: number, ifindex: number, mtu: number, name: string): void;
  addressList(fd: number): InterfaceAddress[];
  /** Every table; a multipath route gives one entry a hop. */
  defaultRouteList(fd: number): KernelRoute[];
  /** The same of all unicast and local routes. */
  routeList(fd: number): KernelRoute[];
  /** Those whose link-layer address is known, of interfaces with six-byte addresses. */
  neighbourList(fd: number): KernelNeighbour[];
  /** Non-blocking; readable when routes, neighbours, addresses or links of the namespace change. */
  routeEventsOpen(netns: number): number;
  /** Non-blocking; readable (fdWatch) when a link of the namespace changes. */
  linkEventsOpen(netns: number): number;
  /**
   * Takes what waits, and tells the changes of links among it. null: the kernel had to drop events, ask linkList for the
   * state.
   */
  linkEventsRead(fd: number): LinkEvent[] | null;

  /** The fd that the ethtool functions of a namespace take. */
  ethtoolOpen(netns: number): number;
  ethtoolDriver(fd: number, name: string): EthtoolDriver;
  /** EOPNOTSUPP where the driver has no channels. */
  ethtoolChannels(fd: number, name: string): EthtoolChannels;
  ethtoolSetChannels(fd: number, name: string, rx: number, tx: number, combined: number): void;
  /** By the kernel's names: "rx-vlan-hw-parse", "rx-gro", "rx-lro", "tx-checksum-ip-generic", ... */
  ethtoolFeatures(fd: number, name: string): Record<string, EthtoolFeature>;
  ethtoolSetFeature(fd: number, name: string, feature: string, on: boolean): void;
  /** Mb/s, 0 when unknown. */
  ethtoolSpeed(fd: number, name: string): number;
}
