// Random packets for a validation: stacks that parse, with values that come back often enough for packets to share flows,
// and damaged ones, cut anywhere and with bits, bytes and lengths changed. How a packet lies in frames is drawn too.
import { FRAME_HEADROOM_BYTES, PACKET_CSUM_PARTIAL, PACKET_L3 } from "../../memory/frame-layout.ts";
import { buildFrame, type Layer, padFrame } from "../../packet/builder.ts";
import { arp, ethernet, mpls, nsh, vlan } from "../../packet/builder-link.ts";
import { ipv4, ipv6, ipv6Fragment } from "../../packet/builder-network.ts";
import { icmp, icmpv6, nd, sctp, tcp, udp } from "../../packet/builder-transport.ts";
import { ETH } from "../../packet/link-headers.ts";
import type { SeededRandom } from "./random.ts";
import type { LaidPacket } from "./world.ts";

/** What a packet is to be: actions that change a header want packets that have it. */
export interface PacketKind {
  readonly network?: "ipv4" | "ipv6" | "arp" | "mpls" | undefined;
  readonly transport?: "tcp" | "udp" | "sctp" | "icmp" | undefined;
  readonly isTagged?: boolean | undefined;
}

/** Sums that carry, and those that do not: values whose ones' complement folds are the rare ones. */
const WORDS = [0, 1, 0x00ff, 0xff00, 0x7fff, 0x8000, 0xfffe, 0xffff] as const;
/** Share of headers with a length that is not theirs. */
const WRONG = 0.08;
const PAYLOAD_BYTES_MAX = 90;
const IP_NETWORKS = ["ipv4", "ipv4", "ipv4", "ipv6"] as const;
const NETWORKS = [...IP_NETWORKS, "ipv6", "arp", "mpls", "nsh", "other"] as const;
/** Most headers end before it. */
const HEADERS_BYTES = 80;

const word = (random: SeededRandom): number =>
  random.chance(0.4) ? random.pick(WORDS) : random.below(0x10000);

/** An address: few, so that packets share flows, or any. */
function address(random: SeededRandom, bytes: number): Uint8Array {
  if (random.chance(0.3)) return random.bytes(bytes);
  const few = new Uint8Array(bytes);
  few[0] = bytes === 6 ? 2 : random.pick([10, 0xff, 0xfd]);
  few[bytes - 2] = random.below(2);
  few[bytes - 1] = random.below(4);
  return few;
}

/** A packet of this kind whose lengths and checksums are right. */
export function randomPacket(random: SeededRandom, kind: PacketKind = {}): Uint8Array {
  const layers = [
    ethernet({ src: address(random, 6), dst: address(random, 6) }),
    ...tags(random, kind.isTagged),
    ...network(random, kind),
  ];
  const frame = buildFrame(layers, random.bytes(random.below(PAYLOAD_BYTES_MAX)));
  return random.chance(0.3) ? padFrame(frame) : frame;
}

function tags(random: SeededRandom, isTagged: boolean | undefined): Layer[] {
  const count =
    isTagged === true ? random.pick([1, 1, 2]) : isTagged === false ? 0 : random.pick([0, 0, 0, 1, 2]);
  return Array.from({ length: count }, () =>
    vlan({
      vid: random.pick([0, 1, 7, 100, 4095]),
      pcp: random.below(8),
      dei: random.chance(0.5),
      tpid: random.pick([0x8100, 0x8100, 0x88a8]),
    }),
  );
}

function network(random: SeededRandom, kind: PacketKind): Layer[] {
  const name = kind.network ?? random.pick(kind.transport === undefined ? NETWORKS : IP_NETWORKS);
  switch (name) {
    case "ipv4":
      return [ipv4Header(random), ...transport(random, 4, kind.transport)];
    case "ipv6": {
      const extensions = random.chance(0.1)
        ? [ipv6Fragment({ offset: random.pick([0, 0, 3]), moreFragments: random.chance(0.5) })]
        : [];
      return [ipv6Header(random), ...extensions, ...transport(random, 6, kind.transport)];
    }
    case "arp":
      return [
        arp({
          operation: random.pick([1, 2, 1, 2, word(random)]),
          sha: address(random, 6),
          tha: address(random, 6),
          spa: address(random, 4),
          tpa: address(random, 4),
          rarp: random.chance(0.1),
        }),
      ];
    case "mpls": {
      const entries = Array.from({ length: 1 + random.below(4) }, () =>
        mpls({ label: random.below(0x100000), tc: random.below(8), ttl: random.below(256) }),
      );
      return [...entries, ipv4Header(random), ...transport(random, 4, kind.transport)];
    }
    case "nsh":
      return [
        nsh({ ttl: random.below(64), spi: random.below(0x1000000), si: random.below(256) }),
        ipv4Header(random),
      ];
    default:
      return [
        {
          headerBytes: 0,
          name: { etherType: random.pick([0x88cc, 0x0600, 0x9100]) },
          write: () => undefined,
        },
      ];
  }
}

function ipv4Header(random: SeededRandom): Layer {
  const isFragment = random.chance(0.08);
  return ipv4({
    src: address(random, 4),
    dst: address(random, 4),
    tos: random.below(256),
    ttl: random.pick([0, 1, 2, 64, 255, random.below(256)]),
    identification: word(random),
    dontFragment: random.chance(0.5),
    moreFragments: isFragment,
    fragmentOffset: isFragment ? random.pick([0, 1, 0x1fff]) : 0,
    options: random.chance(0.1) ? random.bytes(4 * (1 + random.below(10))) : new Uint8Array(0),
    ...(random.chance(WRONG) ? { totalLength: random.below(100) } : {}),
    ...(random.chance(WRONG) ? { versionIhl: random.pick([0x44, 0x46, 0x4f, 0x65]) } : {}),
  });
}

function ipv6Header(random: SeededRandom): Layer {
  return ipv6({
    src: address(random, 16),
    dst: address(random, 16),
    label: random.below(0x100000),
    trafficClass: random.below(256),
    hopLimit: random.pick([0, 1, 64, 255]),
  });
}

function transport(random: SeededRandom, version: 4 | 6, kind: PacketKind["transport"]): Layer[] {
  const ports = {
    src: random.chance(0.5) ? 1024 + random.below(4) : word(random),
    dst: random.pick([53, 80, word(random)]),
  };
  switch (kind ?? random.pick(["tcp", "tcp", "udp", "udp", "sctp", "icmp", "other"])) {
    case "tcp":
      return [
        tcp({
          ...ports,
          sequence: random.next32(),
          acknowledgement: random.next32(),
          flags: random.below(0x1000),
          window: word(random),
          options: random.chance(0.2) ? random.bytes(4 * (1 + random.below(10))) : new Uint8Array(0),
          ...(random.chance(WRONG) ? { dataOffset: random.below(16) } : {}),
        }),
      ];
    case "udp":
      // A checksum of zero says that there is none, and stays.
      return [udp(random.chance(0.2) ? { ...ports, checksum: 0 } : ports)];
    case "sctp":
      return [sctp(ports)];
    case "icmp":
      if (version === 4) return [icmp({ type: random.pick([0, 8, 3]), code: random.below(4) })];
      if (random.chance(0.5)) return [nd({ type: random.pick([135, 136]), target: address(random, 16) })];
      return [icmpv6({ type: random.pick([128, 129, 1]), code: random.below(4) })];
    default:
      return [];
  }
}

/** The packet with one to three damages, which most often meet its headers. It may be shorter than an Ethernet header. */
export function damaged(random: SeededRandom, packet: Uint8Array): Uint8Array {
  let changed = packet.slice();
  for (let left = 1 + random.below(3); left > 0; left -= 1) {
    const at = random.below(Math.min(changed.length, random.pick([34, 54, HEADERS_BYTES])));
    switch (random.below(5)) {
      case 0:
        changed = changed.slice(
          0,
          random.chance(0.1) ? at : Math.max(at, Math.min(changed.length, ETH.headerBytes)),
        );
        break;
      case 1:
        changed[at] = random.pick([0, 1, 0x45, 0x46, 0x60, 0x7f, 0xff, random.below(256)]);
        break;
      case 2: {
        const even = at & ~1;
        changed[even] = random.pick([0, 0x08, 0x81, 0x86, 0xff]);
        if (even + 1 < changed.length) changed[even + 1] = random.pick([0, 0x14, 0xdd, 0xff]);
        break;
      }
      default:
        changed[at]! ^= 1 << random.below(8);
    }
    if (changed.length === 0) return changed;
  }
  return changed;
}

/** How the packet lies: mostly as it was received, now and then in several frames, without room in front, or unfinished. */
export function laid(random: SeededRandom, bytes: Uint8Array, frameBytes: number): LaidPacket {
  const room = frameBytes - FRAME_HEADROOM_BYTES;
  const cuts = bytes.length > room ? everyBytes(bytes.length, room) : [];
  if (cuts.length > 0 || bytes.length < 2) return { bytes, cuts };
  switch (random.below(16)) {
    case 0: {
      const places = Array.from({ length: 1 + random.below(3) }, () => random.below(bytes.length));
      return { bytes, cuts: places.sort((a, b) => a - b) };
    }
    case 1:
      return { bytes, headroomBytes: random.below(64) };
    case 2: {
      const csumStart = random.below(Math.min(bytes.length, HEADERS_BYTES));
      return { bytes, flags: PACKET_CSUM_PARTIAL, csumStart, csumOffset: random.pick([6, 16]) };
    }
    case 3:
      return { bytes, flags: random.chance(0.3) ? PACKET_L3 : 0 };
    default:
      return { bytes };
  }
}

const everyBytes = (bytes: number, step: number): number[] =>
  Array.from({ length: Math.ceil(bytes / step) - 1 }, (_, index) => (index + 1) * step);
