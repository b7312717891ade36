// Addresses as 48-bit numbers, and destinations that no switch passes on. OVS's NORMAL keeps this list (tried on 3.1):
// what 802.1D section 7.12.6 and 802.1Q reserve for a link, and protocols of vendors that mean the next switch.

/** The group bit of an address. */
const GROUP_BIT = 0x01_00_00_00_00_00;

/** First address and number of addresses. */
const RESERVED: readonly (readonly [first: number, count: number])[] = [
  // Spanning tree, pause, LACP, 802.1X, LLDP and the rest of the link's own.
  [0x01_80_c2_00_00_00, 16],
  // Extreme discovery and automatic protection switching.
  [0x00_e0_2b_00_00_00, 1],
  [0x00_e0_2b_00_00_04, 1],
  [0x00_e0_2b_00_00_06, 1],
  // Cisco inter-switch link, connectivity faults, discovery, per-VLAN spanning tree, uplink fast.
  [0x01_00_0c_00_00_00, 1],
  [0x01_00_0c_cc_cc_c0, 8],
  [0x01_00_0c_cc_cc_cc, 2],
  [0x01_00_0c_cd_cd_cd, 1],
];

export const isReserved = (mac: number): boolean =>
  RESERVED.some(([first, count]) => mac >= first && mac < first + count);

export const isGroup = (mac: number): boolean => Math.floor(mac / GROUP_BIT) % 2 === 1;

export function readMac(key: Uint8Array, offset: number): number {
  let mac = 0;
  for (let index = 0; index < 6; index += 1) mac = mac * 256 + key[offset + index]!;
  return mac;
}
