// fast-check arbitraries for IPv6 extension headers, in any number and order up to five.

import fc from "fast-check";
import type { Layer } from "../../src/packet/builder.ts";
import {
  ipv6Authentication,
  ipv6Extension,
  ipv6Fragment,
  ipv6Routing,
} from "../../src/packet/builder-network.ts";
import { IP_PROTOCOL } from "../../src/packet/network-headers.ts";

const EXTENSIONS_MAX = 5;

const options = fc
  .tuple(
    fc.constantFrom(IP_PROTOCOL.hopByHop, IP_PROTOCOL.destination, IP_PROTOCOL.mobility),
    fc.integer({ min: 0, max: 3 }),
  )
  .chain(([protocol, units]) => {
    const count = units * 8 + 6;
    return fc
      .uint8Array({ minLength: count, maxLength: count })
      .map((body): Layer => ipv6Extension({ protocol, body }));
  });

function routing(address: fc.Arbitrary<string | Uint8Array>): fc.Arbitrary<Layer> {
  return fc
    .record({
      type: fc.constantFrom(0, 2, 4),
      segmentsLeft: fc.integer({ min: 0, max: 2 }),
      addresses: fc.array(address, { maxLength: 2 }),
    })
    .map((fields): Layer => ipv6Routing(fields));
}

const fragment = fc
  .record({
    offset: fc.constantFrom(0, 0, 1, 0x1fff),
    moreFragments: fc.boolean(),
    identification: fc.integer({ min: 0, max: 0xffffffff }),
  })
  .map((fields): Layer => ipv6Fragment(fields));

const authentication = fc
  .integer({ min: 2, max: 6 })
  .chain((wordCount) => fc.uint8Array({ minLength: wordCount * 4 + 2, maxLength: wordCount * 4 + 2 }))
  .map((body): Layer => ipv6Authentication(body));

/**
 * Mostly none, else up to five of hop-by-hop, destination, mobility, routing, fragment and authentication.
 */
export function ipv6Extensions(address: fc.Arbitrary<string | Uint8Array>): fc.Arbitrary<Layer[]> {
  const extension = fc.oneof(options, routing(address), fragment, authentication);
  return fc.oneof(
    { weight: 2, arbitrary: fc.constant<Layer[]>([]) },
    { weight: 1, arbitrary: fc.array(extension, { minLength: 1, maxLength: EXTENSIONS_MAX }) },
  );
}
