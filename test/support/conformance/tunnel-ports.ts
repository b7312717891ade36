// Tunnel ports that both switches have under the same numbers, and what of their packets each side chooses for itself.
import type { PortType } from "../../../src/port/port.ts";

export interface TunnelPortRow {
  /** As the real one names its port of the datapath. */
  readonly name: string;
  readonly portNo: number;
  readonly type: PortType;
  /** Of the interface that has the real one make that port. */
  readonly options: readonly string[];
}

const ANY_KEY = ["options:remote_ip=flow", "options:key=flow"];

/** In the order in which the real one gives numbers; those with a UDP port in the name have that number. */
export const TUNNEL_PORTS: readonly TunnelPortRow[] = [
  { name: "gre_sys", portNo: 5, type: "gre", options: ANY_KEY },
  { name: "ip6gre_sys", portNo: 6, type: "ip6gre", options: ANY_KEY },
  { name: "erspan_sys", portNo: 7, type: "erspan", options: [...ANY_KEY, "options:erspan_ver=flow"] },
  { name: "vxlan_sys_4789", portNo: 4789, type: "vxlan", options: ANY_KEY },
  { name: "genev_sys_6081", portNo: 6081, type: "geneve", options: ANY_KEY },
  { name: "gtpu_sys_2152", portNo: 2152, type: "gtpu", options: ANY_KEY },
];

const IPV6_ETHER_TYPE = "86dd";
const ERSPAN_2 = 0x22eb;
const GRE_CHECKSUM = 0x8000;
const GRE_KEY = 0x2000;
const GRE_SEQUENCE = 0x1000;

/**
 * An outer packet with what the real one's private hash and its clock decide taken out: the UDP source port, the UDP
 * checksum as far as it depends on it (its sum with the port stays), and the time of ERSPAN version 2.
 */
export function maskChosen(hex: string): string {
  const bytes = Uint8Array.from(Buffer.from(hex, "hex"));
  const isV6 = hex.slice(24, 28) === IPV6_ETHER_TYPE;
  const l4 = isV6 ? 54 : 34;
  const protocol = bytes[isV6 ? 20 : 23];
  const view = new DataView(bytes.buffer);
  if (protocol === 17) {
    const checksum = view.getUint16(l4 + 6);
    if (checksum !== 0) {
      // One's complement arithmetic: the port leaves the sum when it is added to the checksum.
      const sum = checksum + view.getUint16(l4);
      view.setUint16(l4 + 6, ((sum & 0xffff) + (sum >>> 16)) % 0xffff);
    }
    view.setUint16(l4, 0);
  }
  if (protocol === 47 && view.getUint16(l4 + 2) === ERSPAN_2) view.setUint32(l4 + 12, 0);
  return Buffer.from(bytes).toString("hex");
}

/** As maskChosen, without GRE's sequence number: how many packets a port has sent before differs. Packets may be cut. */
export function maskSent(hex: string): string {
  const isV6 = hex.slice(24, 28) === IPV6_ETHER_TYPE;
  const gre = (isV6 ? 54 : 34) * 2;
  if (hex.length < gre + 40) return hex;
  const masked = maskChosen(hex);
  const flags = Number.parseInt(masked.slice(gre, gre + 4), 16);
  if (masked.slice(isV6 ? 40 : 46, isV6 ? 42 : 48) !== "2f" || (flags & GRE_SEQUENCE) === 0) return masked;
  const words = 1 + Number((flags & GRE_CHECKSUM) !== 0) + Number((flags & GRE_KEY) !== 0);
  const sequence = gre + words * 8;
  return `${masked.slice(0, sequence)}00000000${masked.slice(sequence + 8)}`;
}
