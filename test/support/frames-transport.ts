// fast-check arbitraries for what stands behind an IP header: TCP, UDP, SCTP, ICMP, IGMP, ICMPv6, neighbour
// discovery with options in all forms, and protocols without a header that anybody knows.

import fc from "fast-check";
import type { Layer } from "../../src/packet/builder.ts";
import {
  icmp,
  icmpv6,
  igmp,
  linkAddressOption,
  type NdOption,
  nd,
  sctp,
  tcp,
  udp,
} from "../../src/packet/builder-transport.ts";

const PORTS = [0, 1, 53, 80, 1024, 4789, 65535] as const;

const port = fc.oneof(fc.constantFrom(...PORTS), fc.integer({ min: 0, max: 0xffff }));
const word32 = fc.integer({ min: 0, max: 0xffffffff });

const tcpLayer = fc
  .record({
    src: port,
    dst: port,
    sequence: word32,
    acknowledgement: word32,
    flags: fc.integer({ min: 0, max: 0xfff }),
    window: port,
    options: fc
      .integer({ min: 0, max: 10 })
      .chain((count) => fc.uint8Array({ minLength: count * 4, maxLength: count * 4 })),
  })
  .map(tcp);

const udpLayer = fc.oneof(
  { weight: 3, arbitrary: fc.record({ src: port, dst: port }).map(udp) },
  {
    weight: 1,
    arbitrary: fc.record({ src: port, dst: port, checksum: fc.constantFrom(0, 0xffff, 0x1234) }).map(udp),
  },
);

const sctpLayer = fc.oneof(
  { weight: 3, arbitrary: fc.record({ src: port, dst: port, verificationTag: word32 }).map(sctp) },
  { weight: 1, arbitrary: fc.record({ src: port, dst: port, checksum: word32 }).map(sctp) },
);

const message = fc.record({
  type: fc.constantFrom(0, 3, 8, 11, 13, 255),
  code: fc.integer({ min: 0, max: 255 }),
  rest: word32,
});

const messageV6 = fc.record({
  type: fc.constantFrom(1, 2, 3, 4, 128, 129, 133, 134, 143),
  code: fc.constantFrom(0, 0, 1, 255),
  rest: word32,
});

const linkAddress = fc
  .tuple(fc.constantFrom(1, 2), fc.uint8Array({ minLength: 6, maxLength: 6 }))
  .map(([type, address]) => linkAddressOption(type, address));

/** Other options, and link-address options of a wrong length, whose stated length may be wrong too. */
const otherOption = fc
  .tuple(
    fc.constantFrom(1, 2, 3, 5, 14, 255),
    fc.integer({ min: 0, max: 2 }),
    fc.constantFrom(undefined, 0, 1, 9),
  )
  .chain(([type, units, length]) => {
    const count = units * 8 + 6;
    return fc
      .uint8Array({ minLength: count, maxLength: count })
      .map((body): NdOption => (length === undefined ? { type, body } : { type, body, length }));
  });

const ndLayer = fc
  .record({
    type: fc.constantFrom(135, 136),
    code: fc.constantFrom(0, 0, 0, 1),
    rest: fc.oneof(fc.constantFrom(0, 0x60000000), word32),
    target: fc.oneof(fc.constantFrom("fd00::1", "fe80::2"), fc.uint8Array({ minLength: 16, maxLength: 16 })),
    options: fc.array(fc.oneof({ weight: 3, arbitrary: linkAddress }, otherOption), { maxLength: 3 }),
  })
  .map(nd);

const unknown = fc
  .constantFrom(2, 47, 50, 59, 89, 103, 255)
  .map((ipProtocol): Layer => ({ headerBytes: 0, name: { ipProtocol }, write: () => undefined }));

/** One transport layer that goes with this IP version. */
export function transport(version: 4 | 6): fc.Arbitrary<Layer[]> {
  const control =
    version === 4
      ? fc.oneof({ weight: 3, arbitrary: message.map(icmp) }, { weight: 1, arbitrary: message.map(igmp) })
      : fc.oneof({ weight: 1, arbitrary: messageV6.map(icmpv6) }, { weight: 2, arbitrary: ndLayer });
  return fc
    .oneof(
      { weight: 3, arbitrary: tcpLayer },
      { weight: 3, arbitrary: udpLayer },
      { weight: 2, arbitrary: sctpLayer },
      { weight: 3, arbitrary: control },
      { weight: 1, arbitrary: unknown },
    )
    .map((layer) => [layer]);
}
