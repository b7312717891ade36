// Random values of every family's attributes.
import fc from "fast-check";
import type { DatapathAttributes } from "../../src/netlink/datapath-messages.ts";
import type { FlowAttributes } from "../../src/netlink/flow-messages.ts";
import type { MeterAttributes } from "../../src/netlink/meter-messages.ts";
import type { PacketAttributes } from "../../src/netlink/packet-messages.ts";
import type { VportAttributes } from "../../src/netlink/vport-messages.ts";

const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const u32Big = u32.map(BigInt);
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const present = fc.constant(true);
const blob = (minLength = 0, maxLength = 80) => fc.uint8Array({ minLength, maxLength });
const name = fc.stringMatching(/^[a-z0-9ü._-]{1,7}$/);
const u32Array = fc.array(u32, { minLength: 1, maxLength: 5 });
const none = { requiredKeys: [] };

export const flowValues: fc.Arbitrary<FlowAttributes> = fc.record(
  {
    ufid: blob(1, 16),
    key: blob(),
    mask: blob(),
    used: u64,
    stats: fc.record({ packets: u64, bytes: u64 }),
    tcpFlags: u8,
    clear: present,
    probe: present,
    ufidFlags: u32,
    actions: blob(),
  },
  none,
);

export const packetValues: fc.Arbitrary<PacketAttributes> = fc.record(
  {
    packet: blob(14, 200),
    key: blob(),
    userdata: blob(),
    egressTunnelKey: blob(),
    actions: blob(),
    probe: present,
    mru: u16,
    length: u32,
    hash: u64,
    upcallPid: u32,
  },
  none,
);

export const vportValues: fc.Arbitrary<VportAttributes> = fc.record(
  {
    portNo: u32,
    type: u32,
    name,
    ifindex: u32,
    netnsId: u32,
    stats: fc.record({
      rxPackets: u64,
      txPackets: u64,
      rxBytes: u64,
      txBytes: u64,
      rxErrors: u64,
      txErrors: u64,
      rxDropped: u64,
      txDropped: u64,
    }),
    upcallStats: fc.record({ success: u64, fail: u64 }, none),
    upcallPids: u32Array,
    options: fc.record({ dstPort: u16, extension: fc.record({ gbp: present, gpe: present }, none) }, none),
  },
  none,
);

const stats = fc.record({ packets: u64, bytes: u64 });

export const meterValues: fc.Arbitrary<MeterAttributes> = fc.record(
  {
    id: u32,
    kbps: present,
    stats,
    used: u64,
    bands: fc.array(fc.record({ type: u32, rate: u32, burst: u32, stats }, none), { maxLength: 4 }),
    clear: present,
    maxMeters: u32,
    maxBands: u32,
  },
  none,
);

export const datapathValues: fc.Arbitrary<DatapathAttributes> = fc.record(
  {
    name,
    upcallPid: u32,
    stats: fc.record({ hit: u64, missed: u64, lost: u64, flows: u64 }),
    megaflowStats: fc.record({ maskHit: u64, masks: u32Big, pad0: u32Big, cacheHit: u64, pad1: u64 }),
    userFeatures: u32,
    masksCacheSize: u32,
    perCpuPids: u32Array,
    ifindex: u32,
  },
  none,
);
