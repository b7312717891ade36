// A meter's record in the `meters` region, at its number. Offsets are bytes from the record's start.
//
//   offset  size  field
//        0    u32  exists       0 while there is no such meter, else 1; stored last
//        4    u32  unit         METER_UNIT
//        8    u32  bandCount    1 to METER_BANDS_MAX
//       16    u64  packets      that met the meter
//       24    u64  bytes
//       64         bands, METER_BAND_BYTES each:
//                    0  f64  rate          packets or kilobits a second, which is tokens of a thousandth a millisecond
//                    8  f64  burstMillis   how long the bucket lasts at that rate
//                   16  f64  empty         the bucket's state: the time, in milliseconds, at which it would have been
//                                          empty; what lies between it and now is what is there to spend
//                   24  u64  packets      dropped by this band
//                   32  u64  bytes
//
// Control writes everything but the counts and `empty`, which all threads change by compare and exchange, at most
// twice a burst.

/** OVS's MAX_BANDS. */
export const METER_BANDS_MAX = 8;
export const METER_UNIT = { pktps: 0, kbps: 1 } as const;
export const METER = { exists: 0, unit: 4, bandCount: 8, packets: 16, bytes: 24, bands: 64 } as const;
export const METER_BAND = { rate: 0, burstMillis: 8, empty: 16, packets: 24, bytes: 32 } as const;
export const METER_BAND_BYTES = 40;
