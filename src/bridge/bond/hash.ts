// The hash by which balance-slb spreads source addresses: MurmurHash3 over VLAN and address, as `ovs-appctl bond/hash`
// computes it, so that a bond keeps its members when one switch takes the other's place.

const rotate = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits));

function add(hash: number, word: number): number {
  const mixed = Math.imul(rotate(Math.imul(word, 0xcc9e2d51), 15), 0x1b873593);
  return (Math.imul(rotate(hash ^ mixed, 13), 5) + 0xe6546b64) | 0;
}

function finish(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** Bytes that were hashed. */
const HASHED_BYTES = 8;

/** 32 bits. @param mac 48 bits; `vlan` the VID of the frame as it leaves, 0 for none */
export function sourceHash(mac: number, vlan: number, basis: number): number {
  const low = mac % 2 ** 32;
  const high = vlan * 2 ** 16 + Math.floor(mac / 2 ** 32);
  return finish(add(add(basis | 0, low | 0), high | 0) ^ HASHED_BYTES);
}
