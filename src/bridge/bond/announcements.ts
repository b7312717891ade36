// What tells the switches on the other side of a bond where stations are when the active member is another one, so that
// they need not wait for the stations' next frames: for each station that is not behind the bond a RARP request in its
// name, as OVS sends them, by the member that carries its frames.
import { buildFrame } from "../../packet/builder.ts";
import { arp, ethernet, vlan } from "../../packet/builder-link.ts";
import type { PolicyPacket } from "../../upcall/policy.ts";
import type { MacEntry } from "../learn/mac-table.ts";
import { outputForm } from "../learn/vlan.ts";
import type { Bonds } from "./bonds.ts";

const BROADCAST = "ff:ff:ff:ff:ff:ff";
const NO_ADDRESS = "0.0.0.0";
/** "Request reverse" of RFC 903. */
const RARP_REQUEST = 3;
const MAC_BYTES = 6;

/** Each time it is asked one packet, undefined while there is none; it never ends. @param stations as they are now */
export function* announcements(
  bonds: Bonds,
  stations: () => Iterable<MacEntry>,
): Generator<PolicyPacket | undefined, never> {
  for (;;) {
    const bond = bonds.takeActiveChange();
    if (bond === undefined) {
      yield undefined;
      continue;
    }
    for (const { mac, vlan: vid, portNo } of stations()) {
      const form = portNo === bond.portNo ? undefined : outputForm(bond.settings.vlan, vid);
      const tag = form === "tagged" ? vid : 0;
      const member = form && bond.choose(bond.bucketOf(mac, tag))?.portNo;
      if (member !== undefined) yield { portNo: member, packet: announcement(mac, tag) };
    }
  }
}

/** @param vid 0 for none */
function announcement(mac: number, vid: number): Uint8Array {
  const src = new Uint8Array(MAC_BYTES);
  new DataView(src.buffer).setUint16(0, mac / 2 ** 32);
  new DataView(src.buffer).setUint32(2, mac % 2 ** 32);
  const addresses = { sha: src, spa: NO_ADDRESS, tha: src, tpa: NO_ADDRESS };
  const rarp = arp({ rarp: true, operation: RARP_REQUEST, ...addresses });
  const tags = vid === 0 ? [] : [vlan({ vid })];
  return buildFrame([ethernet({ src, dst: BROADCAST }), ...tags, rarp]);
}
