// Headers between the start of the frame and the network header: Ethernet, VLAN tags, 802.2 with SNAP, MPLS.
//
// Per packet, only those that the fast path of extract.ts leaves. Each function parses at the cursor and moves it.

import { ETH, ETH_TYPE, LLC, MPLS, SNAP, VLAN } from "../packet/link-headers.ts";
import { type HeaderCursor, LINE_1 } from "./extract-cursor.ts";
import { ETH_TYPE_NONE, K, VLAN_CFI } from "./fields.ts";

const ETH_TYPE_VLAN: number = ETH_TYPE.vlan;
const ETH_TYPE_QINQ: number = ETH_TYPE.qinq;
const ETH_TYPE_MIN: number = ETH.typeMin;
const ETH_HEADER_BYTES = ETH.headerBytes;
const ETH_ADDRESSES_BYTES = 2 * ETH.addressBytes;
const ETH_TYPE_BYTES = 2;
const VLAN_TAG_BYTES = VLAN.headerBytes;
const VLAN_TCI_AT = VLAN.tci;
const LLC_SNAP_BYTES = SNAP.headerBytes;
const SNAP_TYPE_AT = SNAP.type;
/** DSAP and SSAP of SNAP as one word. */
const SNAP_SAPS = (LLC.snapSap << 8) | LLC.snapSap;
const MPLS_LSE_BYTES = MPLS.entryBytes;
/** Depth of the label stack that the key holds; deeper labels are passed over unseen. */
const MPLS_LABELS_MAX = 3;
const { eth_dst: ETH_DST, mpls_lse0: MPLS_LSE0 } = K;

const isVlanType = (ethType: number): boolean => ethType === ETH_TYPE_VLAN || ethType === ETH_TYPE_QINQ;

/** Ethernet header and tags. Returns the innermost Ethertype, -1 when the frame is shorter than an Ethernet header. */
export function parseEthernet(cursor: HeaderCursor, vlanLimit: number): number {
  if (!cursor.has(ETH_HEADER_BYTES)) return -1;
  cursor.copy(0, ETH_DST, ETH_ADDRESSES_BYTES);
  cursor.pull(ETH_ADDRESSES_BYTES);
  parseVlans(cursor, vlanLimit);
  return parseEthType(cursor);
}

/** Leaves the cursor at the type field behind the last tag taken. */
function parseVlans(cursor: HeaderCursor, vlanLimit: number): void {
  for (let index = 0; index < vlanLimit; index++) {
    const tpid = cursor.be16(0);
    if (!isVlanType(tpid) || !cursor.has(VLAN_TAG_BYTES + ETH_TYPE_BYTES)) return;
    cursor.putVlan(index, tpid, cursor.be16(VLAN_TCI_AT) | VLAN_CFI);
    cursor.pull(VLAN_TAG_BYTES);
  }
}

function parseEthType(cursor: HeaderCursor): number {
  const ethType = cursor.be16(0);
  cursor.pull(ETH_TYPE_BYTES);
  if (ethType >= ETH_TYPE_MIN) return ethType;
  if (!cursor.has(LLC_SNAP_BYTES) || !isSnapEthernet(cursor)) return ETH_TYPE_NONE;
  const snapType = cursor.be16(SNAP_TYPE_AT);
  cursor.pull(LLC_SNAP_BYTES);
  return snapType >= ETH_TYPE_MIN ? snapType : ETH_TYPE_NONE;
}

/** RFC 1042: SNAP's access points, an unnumbered information frame, the OUI of encapsulated Ethernet. */
function isSnapEthernet(cursor: HeaderCursor): boolean {
  return (
    cursor.be16(LLC.dsap) === SNAP_SAPS &&
    cursor.byte(LLC.control) === LLC.unnumbered &&
    cursor.byte(SNAP.oui) === 0 &&
    cursor.be16(SNAP.oui + 1) === 0
  );
}

/** Passes the whole label stack, or what is there of it, and keeps its first labels. */
export function parseMpls(cursor: HeaderCursor): void {
  cursor.lines |= LINE_1;
  for (let depth = 0; cursor.has(MPLS_LSE_BYTES); depth++) {
    if (depth < MPLS_LABELS_MAX) cursor.copy(0, MPLS_LSE0 + depth * MPLS_LSE_BYTES, MPLS_LSE_BYTES);
    const bottomOfStack = (cursor.byte(2) & 1) !== 0;
    cursor.pull(MPLS_LSE_BYTES);
    if (bottomOfStack) return;
  }
}
