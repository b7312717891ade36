// A tunnel port's settings, by OVS's names of the options (ovs-vswitchd.conf.db(5), Interface). A port without
// remote_ip is flow-based: where to, set(tunnel(...)) says. With one it sends what is put out of it to there, and takes
// what comes from there. Control path, plain data between threads.
import { ETH_TYPE } from "../packet/link-headers.ts";
import { SRV6, TUNNEL_TYPE, type TunnelTypeName } from "../packet/tunnel-headers.ts";
import { type Ip, isIpv4, NO_IP, parseIp } from "./ip.ts";

export interface TunnelVport {
  readonly type: TunnelTypeName;
  /** NO_IP: flow-based. */
  readonly remote: Ip;
  /** NO_IP: the route's. */
  readonly local: Ip;
  /** Undefined: none; "flow": whatever the packet or set(tunnel) has. */
  readonly inKey: bigint | "flow" | undefined;
  readonly outKey: bigint | "flow" | undefined;
  /** UDP: port that it listens on and sends to. */
  readonly dstPort: number;
  readonly tos: number | "inherit";
  readonly ttl: number | "inherit";
  readonly isDontFragment: boolean;
  readonly hasChecksum: boolean;
  readonly hasSequence: boolean;
  readonly hasGbp: boolean;
  readonly hasGpe: boolean;
  readonly erspanVersion: number;
  readonly erspanIndex: number;
  readonly erspanDirection: number;
  readonly erspanHardware: number;
  /** In travelling order; empty: the destination alone. */
  readonly segments: readonly Ip[];
  /** bareudp: Ethertype of what it carries. */
  readonly payloadType: number;
}

/** Destination ports that IANA gave to the protocols; 0 for those without UDP. */
const DST_PORTS: Readonly<Record<TunnelTypeName, number>> = {
  vxlan: 4789,
  geneve: 6081,
  gtpu: 2152,
  bareudp: 6635,
  gre: 0,
  ip6gre: 0,
  erspan: 0,
  ip6erspan: 0,
  srv6: 0,
};
const TTL_DEFAULT = 64;
const V6_ONLY: ReadonlySet<TunnelTypeName> = new Set(["ip6gre", "ip6erspan", "srv6"]);
const PAYLOAD_TYPES: Readonly<Record<string, number>> = {
  ip: ETH_TYPE.ipv4,
  ipv4: ETH_TYPE.ipv4,
  ipv6: ETH_TYPE.ipv6,
  mpls: ETH_TYPE.mpls,
};
const ID_BITS: Readonly<Record<TunnelTypeName, number>> = {
  vxlan: 24,
  geneve: 24,
  gre: 32,
  ip6gre: 32,
  gtpu: 32,
  erspan: 10,
  ip6erspan: 10,
  srv6: 0,
  bareudp: 0,
};

export const isTunnelType = (type: string): type is TunnelTypeName => Object.hasOwn(TUNNEL_TYPE, type);

/** Whether tunnels of the type have a UDP header. */
export const hasUdp = (type: TunnelTypeName): boolean => DST_PORTS[type] !== 0;

/** A value as YAML or the command line has it. */
type Value = string | number | boolean;

/** @throws RangeError that names the option, the value and what would be accepted */
export function tunnelVport(type: TunnelTypeName, options: Readonly<Record<string, unknown>>): TunnelVport {
  const read = new Options(type, options);
  const key = read.id("key");
  const vport: TunnelVport = {
    type,
    remote: read.address("remote_ip"),
    local: read.address("local_ip"),
    inKey: read.id("in_key") ?? key,
    outKey: read.id("out_key") ?? key,
    dstPort: hasUdp(type) ? read.number("dst_port", DST_PORTS[type], 1, 65535) : 0,
    tos: read.numberOr("tos", "inherit", 0, 0, 255),
    ttl: read.numberOr("ttl", "inherit", TTL_DEFAULT, 1, 255),
    isDontFragment: read.flag("df_default", true),
    hasChecksum: read.flag("csum", false),
    hasSequence: read.flag("seq", false),
    ...read.extensions(),
    erspanVersion: read.number("erspan_ver", 1, 1, 2),
    erspanIndex: read.number("erspan_idx", 0, 0, 0xfffff),
    erspanDirection: read.number("erspan_dir", 0, 0, 1),
    erspanHardware: read.number("erspan_hwid", 0, 0, 0x3f),
    segments: read.segments(),
    payloadType: read.payloadType(),
  };
  read.finish();
  return vport;
}

class Options {
  readonly #type: TunnelTypeName;
  readonly #left: Map<string, Value>;

  constructor(type: TunnelTypeName, options: Readonly<Record<string, unknown>>) {
    this.#type = type;
    this.#left = new Map();
    for (const [name, value] of Object.entries(options)) {
      if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") {
        this.#fail(name, String(value), "a string or a number");
      }
      this.#left.set(name, value);
    }
  }

  #take(name: string): string | undefined {
    const value = this.#left.get(name);
    this.#left.delete(name);
    return value === undefined ? undefined : String(value);
  }

  #fail(name: string, value: string, accepted: string): never {
    throw new RangeError(`option ${name} of a ${this.#type} port: "${value}"; accepted: ${accepted}`);
  }

  address(name: string): Ip {
    const text = this.#take(name);
    if (text === undefined || text === "flow") return NO_IP;
    const ip = parseIp(text);
    const accepted = V6_ONLY.has(this.#type) ? "an IPv6 address, or flow" : "an IP address, or flow";
    if (ip === undefined || (V6_ONLY.has(this.#type) && isIpv4(ip))) this.#fail(name, text, accepted);
    return ip;
  }

  id(name: string): bigint | "flow" | undefined {
    const text = this.#take(name);
    if (text === undefined || text === "flow") return text;
    const bits = ID_BITS[this.#type];
    const id = /^(\d+|0[xX][0-9a-fA-F]+)$/.test(text) ? BigInt(text) : -1n;
    if (id < 0n || id >> BigInt(bits) !== 0n) this.#fail(name, text, `a number of ${bits} bits, or flow`);
    return id;
  }

  number(name: string, otherwise: number, least: number, most: number): number {
    const text = this.#take(name);
    if (text === undefined) return otherwise;
    const value = /^(\d+|0[xX][0-9a-fA-F]+)$/.test(text) ? Number(text) : -1;
    if (value < least || value > most) this.#fail(name, text, `${least} to ${most}`);
    return value;
  }

  numberOr<Word extends string>(
    name: string,
    word: Word,
    otherwise: number,
    least: number,
    most: number,
  ): number | Word {
    if (this.#left.get(name) !== word) return this.number(name, otherwise, least, most);
    this.#left.delete(name);
    return word;
  }

  flag(name: string, otherwise: boolean): boolean {
    const text = this.#take(name);
    if (text === undefined) return otherwise;
    if (text !== "true" && text !== "false") this.#fail(name, text, "true or false");
    return text === "true";
  }

  extensions(): { hasGbp: boolean; hasGpe: boolean } {
    const text = this.#take("exts") ?? "";
    const names = text.split(",").filter((name) => name !== "");
    const isKnown = names.every((name) => name === "gbp" || name === "gpe");
    if (!isKnown || names.length > 1 || (names.length > 0 && this.#type !== "vxlan")) {
      this.#fail("exts", text, "gbp or gpe, of a vxlan port");
    }
    return { hasGbp: names.includes("gbp"), hasGpe: names.includes("gpe") };
  }

  segments(): Ip[] {
    const text = this.#take("srv6_segs");
    if (text === undefined) return [];
    const segments = text.split(",").map((segment) => parseIp(segment) ?? NO_IP);
    const isWrong = segments.some((ip) => ip === NO_IP || isIpv4(ip)) || segments.length > SRV6.segmentsMax;
    if (isWrong || this.#type !== "srv6") {
      this.#fail("srv6_segs", text, `1 to ${SRV6.segmentsMax} IPv6 addresses, of an srv6 port`);
    }
    return segments;
  }

  payloadType(): number {
    const text = this.#take("payload_type");
    if (this.#type !== "bareudp") {
      if (text !== undefined) this.#fail("payload_type", text, "bareudp ports have it");
      return 0;
    }
    const type =
      PAYLOAD_TYPES[text ?? "mpls"] ?? (/^(\d+|0[xX][0-9a-fA-F]+)$/.test(text!) ? Number(text) : 0);
    if (type < 0x600 || type > 0xffff) this.#fail("payload_type", text!, "mpls, ip, ipv6 or an Ethertype");
    return type;
  }

  /** packet_type is taken and ignored: what a packet begins with, its tunnel header says. */
  finish(): void {
    this.#left.delete("packet_type");
    for (const [name, value] of this.#left) this.#fail(name, String(value), "no such option");
  }
}
