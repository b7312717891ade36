// Which buckets move when a bond rebalances, by OVS's rules: load goes from the member that carries most to the one that
// carries least, heavy buckets first, until the two differ by 3 % or 100,000 bytes; a move has to close a tenth of the
// gap at least, so that light buckets do not wander.

/** Below this a difference is not worth a move: some 100 kbit/s over ten seconds. */
const OVERLOAD_BYTES_MIN = 100_000;
/** Nor below this share of the lighter member's load. */
const OVERLOAD_SHARE = 1 / 32;
/** A move has to come nearer to the ideal split by this share of the distance. */
const GAIN_SHARE = 1 / 10;

export interface BucketLoad {
  readonly bucket: number;
  readonly bytes: number;
}

export interface MemberLoad<Member> {
  readonly member: Member;
  readonly buckets: readonly BucketLoad[];
}

export interface Move<Member> extends BucketLoad {
  readonly from: Member;
  readonly to: Member;
}

interface Scale<Member> {
  readonly member: Member;
  bytes: number;
  /** What may still leave it, the heaviest first. */
  entries: BucketLoad[];
}

/** @param loads enabled members with the buckets that carry something */
export function planMoves<Member>(loads: readonly MemberLoad<Member>[]): Move<Member>[] {
  const moves: Move<Member>[] = [];
  let scales: Scale<Member>[] = loads.map(({ member, buckets }) => ({
    member,
    bytes: buckets.reduce((sum, { bytes }) => sum + bytes, 0),
    entries: [...buckets].sort((a, b) => b.bytes - a.bytes || a.bucket - b.bucket),
  }));
  while (scales.length > 1) {
    scales = scales.sort((a, b) => b.bytes - a.bytes);
    const from = scales[0]!;
    const to = scales.at(-1)!;
    const overload = from.bytes - to.bytes;
    if (overload < to.bytes * OVERLOAD_SHARE || overload < OVERLOAD_BYTES_MIN) break;
    const chosen = chooseBuckets(from, to.bytes);
    // Nothing that could usefully leave it: the next one's turn.
    if (chosen.length === 0) scales = scales.filter((scale) => scale !== from);
    for (const load of chosen) {
      moves.push({ ...load, from: from.member, to: to.member });
      from.bytes -= load.bytes;
      to.bytes += load.bytes;
      // What has moved stays where it is for this time.
      from.entries = from.entries.filter(({ bucket }) => bucket !== load.bucket);
    }
  }
  return moves;
}

function chooseBuckets<Member>(from: Scale<Member>, toBytes: number): BucketLoad[] {
  if (from.entries.length <= 1) return [];
  const idealBytes = (from.bytes - toBytes) / 2;
  const gainMin = idealBytes * GAIN_SHARE;
  const chosen: BucketLoad[] = [];
  let movedBytes = 0;
  for (const load of from.entries) {
    if (movedBytes + load.bytes <= idealBytes) {
      chosen.push(load);
      movedBytes += load.bytes;
    }
    if (idealBytes - movedBytes < gainMin) break;
  }
  if (chosen.length === 0) {
    // Every bucket is heavier than the ideal; the lightest is nearest to it.
    const lightest = from.entries.at(-1)!;
    chosen.push(lightest);
    movedBytes = lightest.bytes;
  }
  const lowBytes = Math.min(from.bytes - movedBytes, toBytes + movedBytes);
  return lowBytes > toBytes && lowBytes - toBytes >= gainMin ? chosen : [];
}
