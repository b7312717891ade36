// fast-check arbitraries for frames. `validFrame` gives whole stacks with right lengths and checksums;
// `hostileFrame` takes one and damages it: cut anywhere, bytes and bits changed, length fields of all kinds
// wrong; `anyFrame` mixes both with bytes that never were a frame. Values come from small pools, so that
// fields collide between frames as often as tables and caches need it.

import fc from "fast-check";
import { buildFrame, type Layer, padFrame } from "../../src/packet/builder.ts";
import { arp, ethernet, ethernet8023, llcSnap, mpls, nsh, vlan } from "../../src/packet/builder-link.ts";
import { ipv4, ipv6 } from "../../src/packet/builder-network.ts";
import { ETH, NSH } from "../../src/packet/link-headers.ts";
import { ipv6Extensions } from "./frames-extension.ts";
import { transport } from "./frames-transport.ts";

export interface FrameOptions {
  /** Most payload bytes behind the innermost header. */
  readonly payloadBytesMax?: number;
  readonly vlansMax?: number;
}

const PAYLOAD_BYTES_MAX = 120;
const VLANS_MAX = 3;
/** netdev-dummy/receive and every Ethernet device want a whole Ethernet header. */
export const FRAME_BYTES_MIN = ETH.headerBytes;

const MACS = ["02:00:00:00:00:01", "02:00:00:00:00:02", "ff:ff:ff:ff:ff:ff", "01:80:c2:00:00:00"] as const;
const IPV4S = ["10.0.0.1", "10.0.0.2", "192.168.7.9", "224.0.0.251", "255.255.255.255", "0.0.0.0"] as const;
const IPV6S = ["fd00::1", "fd00::2", "fe80::2", "ff02::1:ff00:2", "::", "2001:db8::ffff"] as const;

export const mac: fc.Arbitrary<string | Uint8Array> = fc.oneof(fc.constantFrom(...MACS), bytes(6));
export const ipv4Address: fc.Arbitrary<string | Uint8Array> = fc.oneof(fc.constantFrom(...IPV4S), bytes(4));
export const ipv6Address: fc.Arbitrary<string | Uint8Array> = fc.oneof(fc.constantFrom(...IPV6S), bytes(16));

function bytes(byteCount: number): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ minLength: byteCount, maxLength: byteCount });
}

/** Bytes of a count that is a multiple of four. */
function words(wordsMax: number): fc.Arbitrary<Uint8Array> {
  return fc.integer({ min: 0, max: wordsMax }).chain((count) => bytes(count * 4));
}

const addresses = fc.record({ src: mac, dst: mac });

const vlanLayer = fc
  .record({
    vid: fc.integer({ min: 0, max: 4095 }),
    pcp: fc.integer({ min: 0, max: 7 }),
    dei: fc.boolean(),
    tpid: fc.constantFrom(0x8100, 0x88a8),
  })
  .map(vlan);

const arpStack = fc
  .record({
    operation: fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(1, 2, 3, 4) },
      fc.integer({ min: 0, max: 0xffff }),
    ),
    sha: mac,
    tha: mac,
    spa: ipv4Address,
    tpa: ipv4Address,
    rarp: fc.boolean(),
    hardwareType: fc.constantFrom(1, 1, 1, 6),
    protocolType: fc.constantFrom(0x0800, 0x0800, 0x0800, 0x86dd),
    hardwareBytes: fc.constantFrom(6, 6, 6, 8),
    protocolBytes: fc.constantFrom(4, 4, 4, 16),
  })
  .map((fields) => [arp(fields)]);

const ipv4Stack = fc
  .tuple(
    fc.record({
      src: ipv4Address,
      dst: ipv4Address,
      tos: fc.integer({ min: 0, max: 255 }),
      ttl: fc.constantFrom(0, 1, 2, 64, 255),
      identification: fc.integer({ min: 0, max: 0xffff }),
      dontFragment: fc.boolean(),
      moreFragments: fc.constantFrom(false, false, false, false, true),
      fragmentOffset: fc.constantFrom(0, 0, 0, 0, 0, 0, 1, 0x1fff),
      options: fc.oneof({ weight: 3, arbitrary: fc.constant(new Uint8Array(0)) }, words(10)),
    }),
    transport(4),
  )
  .map(([fields, inner]): Layer[] => [ipv4(fields), ...inner]);

const ipv6Stack = fc
  .tuple(
    fc.record({
      src: ipv6Address,
      dst: ipv6Address,
      label: fc.integer({ min: 0, max: 0xfffff }),
      trafficClass: fc.integer({ min: 0, max: 255 }),
      hopLimit: fc.constantFrom(0, 1, 64, 255),
    }),
    ipv6Extensions(ipv6Address),
    transport(6),
  )
  .map(([fields, extensions, inner]): Layer[] => [ipv6(fields), ...extensions, ...inner]);

const ipStack = fc.oneof(ipv4Stack, ipv6Stack);

const mplsStack = fc
  .tuple(
    fc.array(
      fc.record({
        label: fc.integer({ min: 0, max: 0xfffff }),
        tc: fc.integer({ min: 0, max: 7 }),
        ttl: fc.integer({ min: 0, max: 255 }),
        multicast: fc.boolean(),
      }),
      { minLength: 1, maxLength: 5 },
    ),
    ipStack,
  )
  .map(([entries, inner]): Layer[] => [...entries.map((entry) => mpls(entry)), ...inner]);

const nshFields = fc.record({
  oam: fc.boolean(),
  ttl: fc.integer({ min: 0, max: 63 }),
  spi: fc.integer({ min: 0, max: 0xffffff }),
  si: fc.integer({ min: 0, max: 255 }),
});
const nshStack = fc
  .tuple(
    nshFields,
    fc.oneof(
      bytes(NSH.mdType1Bytes - NSH.baseBytes).map((metadata) => ({ mdType: 1, metadata })),
      words(8).map((metadata) => ({ mdType: 2, metadata })),
    ),
    fc.oneof(
      ipStack,
      ipStack.map((inner): Layer[] => [ethernet(), ...inner]),
    ),
  )
  .map(([fields, metadata, inner]): Layer[] => [nsh({ ...fields, ...metadata }), ...inner]);

/** Ethertypes that nothing is known of, and those whose header then is missing. */
const unknownStack = fc
  .constantFrom(0x88cc, 0x8863, 0x0600, 0x1234, 0x9100)
  .map((etherType): Layer[] => [{ headerBytes: 0, name: { etherType }, write: () => undefined }]);

const networkStack = fc.oneof(
  { weight: 6, arbitrary: ipv4Stack },
  { weight: 6, arbitrary: ipv6Stack },
  { weight: 2, arbitrary: arpStack },
  { weight: 1, arbitrary: mplsStack },
  { weight: 1, arbitrary: nshStack },
  { weight: 1, arbitrary: unknownStack },
);

/** The layers of a whole Ethernet frame, for tests that want to look at the structure. */
export function frameLayers(options: FrameOptions = {}): fc.Arbitrary<Layer[]> {
  const tags = fc.array(vlanLayer, { minLength: 1, maxLength: options.vlansMax ?? VLANS_MAX });
  const none = fc.constant<Layer[]>([]);
  const vlans = options.vlansMax === 0 ? none : fc.oneof(none, tags);
  const typed = fc
    .tuple(addresses, vlans, networkStack)
    .map(([address, tags, inner]): Layer[] => [ethernet(address), ...tags, ...inner]);
  const snap = fc
    .tuple(addresses, fc.constantFrom(0, 0, 0, 0x00000c), fc.constantFrom(3, 3, 3, 0xf3), networkStack)
    .map(([address, oui, control, inner]): Layer[] => [
      ethernet8023(address),
      llcSnap({ oui, control }),
      ...inner,
    ]);
  const llc = addresses.map((address): Layer[] => [ethernet8023(address)]);
  return fc.oneof(
    { weight: 10, arbitrary: typed },
    { weight: 2, arbitrary: snap },
    { weight: 1, arbitrary: llc },
  );
}

/**
 * A frame whose lengths and checksums are right, sometimes padded to 60 bytes or with a tail behind the
 * packet.
 */
export function validFrame(options: FrameOptions = {}): fc.Arbitrary<Uint8Array> {
  const payload = fc.uint8Array({ maxLength: options.payloadBytesMax ?? PAYLOAD_BYTES_MAX });
  return fc
    .tuple(frameLayers(options), payload, fc.constantFrom(0, 0, 60, 64, 320))
    .map(([layers, data, byteCount]) => padFrame(buildFrame(layers, data), byteCount));
}

type Mutation = (frame: Uint8Array) => Uint8Array;

/**
 * A place as a part of the whole. Of integers, because doubles are drawn evenly over their bits: nearly all
 * tiny.
 */
const part01 = fc.integer({ min: 0, max: 10_000 }).map((part) => part / 10_000);

const cut: fc.Arbitrary<Mutation> = part01.map((part) => (frame) => {
  const span = frame.length - FRAME_BYTES_MIN;
  return frame.slice(0, FRAME_BYTES_MIN + Math.floor(part * span));
});

/** Headers stand in front, so places near the front are drawn more often. */
const place = part01.map((part) => part * part);

const changeByte: fc.Arbitrary<Mutation> = fc
  .tuple(place, fc.oneof(fc.constantFrom(0, 1, 0x45, 0x60, 0x7f, 0xff), fc.integer({ min: 0, max: 255 })))
  .map(([part, value]) => (frame) => {
    const changed = frame.slice();
    changed[Math.floor(part * (frame.length - 1))] = value;
    return changed;
  });

const flipBit: fc.Arbitrary<Mutation> = fc
  .tuple(place, fc.integer({ min: 0, max: 7 }))
  .map(([part, bit]) => (frame) => {
    const changed = frame.slice();
    const at = Math.floor(part * (frame.length - 1));
    changed[at] = changed[at]! ^ (1 << bit);
    return changed;
  });

/** Overwrites a 16-bit word at an even offset: lengths, types, protocols, fragment words. */
const changeWord: fc.Arbitrary<Mutation> = fc
  .tuple(place, fc.constantFrom(0, 1, 5, 0x14, 0x0600, 0x0800, 0x8100, 0x86dd, 0x2000, 0x1fff, 0xffff))
  .map(([part, value]) => (frame) => {
    const changed = frame.slice();
    const at = Math.floor((part * (frame.length - 2)) / 2) * 2;
    changed[at] = value >>> 8;
    changed[at + 1] = value;
    return changed;
  });

const lengthen: fc.Arbitrary<Mutation> = fc
  .uint8Array({ minLength: 1, maxLength: 300 })
  .map((tail) => (frame) => {
    const longer = new Uint8Array(frame.length + tail.length);
    longer.set(frame);
    longer.set(tail, frame.length);
    return longer;
  });

const mutation = fc.oneof(
  { weight: 2, arbitrary: cut },
  { weight: 3, arbitrary: changeByte },
  { weight: 3, arbitrary: flipBit },
  { weight: 2, arbitrary: changeWord },
  { weight: 1, arbitrary: lengthen },
);

/** A valid frame with one to four damages; never shorter than an Ethernet header. */
export function hostileFrame(options: FrameOptions = {}): fc.Arbitrary<Uint8Array> {
  return fc
    .tuple(validFrame(options), fc.array(mutation, { minLength: 1, maxLength: 4 }))
    .map(([frame, mutations]) => mutations.reduce((changed, mutate) => mutate(changed), frame));
}

/** Valid, hostile, and now and then no frame at all. */
export function anyFrame(options: FrameOptions = {}): fc.Arbitrary<Uint8Array> {
  return fc.oneof(
    { weight: 5, arbitrary: validFrame(options) },
    { weight: 5, arbitrary: hostileFrame(options) },
    { weight: 1, arbitrary: fc.uint8Array({ minLength: FRAME_BYTES_MIN, maxLength: 128 }) },
  );
}
