// Random headers for tnl_push(), as the real Open vSwitch reads them.
import type { SeededRandom } from "../random.ts";

export interface TunnelPush {
  readonly text: string;
  /** The port that takes such packets in. */
  readonly portNo: number;
}

interface Kind {
  readonly portNo: number;
  /** Of the header's type word. */
  readonly type: number;
  readonly protocol: 17 | 47;
  readonly isIpv4Only?: boolean;
  readonly isIpv6Only?: boolean;
  /** The real one prints such a header and does not read it. */
  readonly isUnread?: boolean;
  /** Behind the IP header, with its size. */
  readonly transport: (random: SeededRandom, isV6: boolean) => readonly [text: string, bytes: number];
}

const MACS = "dst=aa:55:aa:55:00:00,src=f8:bc:12:44:34:b6";
const NETWORK_BYTES = { 4: 34, 6: 54 } as const;

const hex = (value: number): string => `0x${value.toString(16)}`;
/** Without a checksum or with one; it must not be missing over IPv6. */
const udp = (random: SeededRandom, dst: number, isV6: boolean): string =>
  `udp(src=0,dst=${dst},csum=${isV6 || random.chance(0.5) ? "0xffff" : "0x0"})`;

function geneveOptions(random: SeededRandom): readonly [text: string, bytes: number] {
  if (random.chance(0.4)) return ["", 0];
  let text = "";
  let bytes = 0;
  for (let count = 1 + random.below(3); count > 0; count -= 1) {
    const words = random.below(3);
    const data = Array.from({ length: words }, () =>
      (1 + random.below(0x7ffffffe)).toString(16).padStart(8, "0"),
    );
    text += `{class=${hex(random.below(0x10000))},type=${hex(random.below(128))},len=${words * 4}`;
    text += words === 0 ? "}" : `,0x${data.join("")}}`;
    bytes += 4 + words * 4;
  }
  return [`,options(${text})`, bytes];
}

function gre(random: SeededRandom): readonly [text: string, bytes: number] {
  const hasKey = random.chance(0.6);
  const hasChecksum = random.chance(0.4);
  // What comes under a sequence number has its checksum taken too early by Open vSwitch: docs/conformance.md.
  const hasSequence = !hasChecksum && random.chance(0.3);
  const flags = (hasKey ? 0x2000 : 0) | (hasChecksum ? 0x8000 : 0) | (hasSequence ? 0x1000 : 0);
  const parts = [
    ...(hasChecksum ? ["csum=0x0"] : []),
    ...(hasKey ? [`key=${hex(random.next32())}`] : []),
    ...(hasSequence ? ["seq=0x0"] : []),
  ];
  return [
    `gre((flags=${hex(flags)},proto=0x6558)${parts.map((part) => `,${part}`).join("")})`,
    4 + 4 * parts.length,
  ];
}

const KINDS: readonly Kind[] = [
  {
    portNo: 4789,
    type: 4,
    protocol: 17,
    transport: (random, isV6) => [
      `${udp(random, 4789, isV6)},vxlan(flags=0x8000000,vni=${hex(random.below(1 << 24))})`,
      16,
    ],
  },
  {
    portNo: 6081,
    type: 5,
    protocol: 17,
    transport: (random, isV6) => {
      const [options, bytes] = geneveOptions(random);
      const flag = random.pick(["", "", "oam,", "crit,"]);
      return [
        `${udp(random, 6081, isV6)},geneve(${flag}vni=${hex(random.below(1 << 24))}${options})`,
        16 + bytes,
      ];
    },
  },
  { portNo: 5, type: 3, protocol: 47, isIpv4Only: true, transport: gre },
  { portNo: 6, type: 109, protocol: 47, isIpv6Only: true, transport: gre },
  {
    portNo: 7,
    isUnread: true,
    type: 107,
    protocol: 47,
    isIpv4Only: true,
    transport: (random) =>
      random.chance(0.5)
        ? [`erspan(ver=1,sid=${hex(random.below(1024))},idx=${hex(random.below(1 << 20))})`, 16]
        : [
            `erspan(ver=2,sid=${hex(random.below(1024))},dir=${random.below(2)},hwid=${hex(random.below(16))})`,
            20,
          ],
  },
  {
    portNo: 2152,
    isUnread: true,
    type: 110,
    protocol: 17,
    isIpv4Only: true,
    // A UDP checksum of GTP-U is taken too early by Open vSwitch: docs/conformance.md.
    transport: (random) => [
      `udp(src=0,dst=2152,csum=0x0),gtpu(flags=0x30,msgtype=255,teid=${hex(random.next32())})`,
      16,
    ],
  },
];

/** @param isRead of a kind that the real one reads, too */
export function drawTunnelPush(random: SeededRandom, isRead: boolean): TunnelPush {
  const kinds = KINDS.filter(({ isUnread }) => !isRead || isUnread !== true);
  const { portNo, type, protocol, isIpv4Only, isIpv6Only, transport } = random.pick(kinds);
  const isV6 = isIpv6Only === true || (isIpv4Only !== true && random.chance(0.4));
  const [inner, bytes] = transport(random, isV6);
  const ttl = 1 + random.below(255);
  const tos = hex(random.below(256));
  const network = isV6
    ? `ipv6(src=2001:cafe::${1 + random.below(99)},dst=2001:cafe::${1 + random.below(99)},label=0,proto=${protocol},tclass=${tos},hlimit=${ttl})`
    : `ipv4(src=1.1.2.${random.below(256)},dst=1.1.3.${random.below(256)},proto=${protocol},tos=${tos},ttl=${ttl},frag=${random.pick(["0x0", "0x4000"])})`;
  const ethernet = `eth(${MACS},dl_type=${isV6 ? "0x86dd" : "0x0800"})`;
  const size = NETWORK_BYTES[isV6 ? 6 : 4] + bytes;
  const header = `header(size=${size},type=${type},${ethernet},${network},${inner})`;
  return { text: `tnl_push(tnl_port(${portNo}),${header},out_port(1))`, portNo };
}
