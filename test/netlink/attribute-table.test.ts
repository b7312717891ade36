// The codec of every family: what is written reads back, byte for byte; what is damaged is refused with its place or
// reads as something else that writes the same bytes again. Nothing crashes.
import fc from "fast-check";
import t, { type Test } from "tap";
import { attributes } from "../../src/flow/nlattr.ts";
import {
  type AttributeTable,
  decodeAttributes,
  encodeAttributes,
  type Values,
} from "../../src/netlink/attribute-table.ts";
import { DATAPATH_ATTRIBUTES } from "../../src/netlink/datapath-messages.ts";
import { NetlinkError } from "../../src/netlink/errno.ts";
import { CTRL_ATTRIBUTES, SOCKET_ATTRIBUTES } from "../../src/netlink/families.ts";
import { FLOW_ATTRIBUTES } from "../../src/netlink/flow-messages.ts";
import { METER_ATTRIBUTES } from "../../src/netlink/meter-messages.ts";
import { PACKET_ATTRIBUTES } from "../../src/netlink/packet-messages.ts";
import { VPORT_ATTRIBUTES } from "../../src/netlink/vport-messages.ts";
import { runs } from "../support/seed.ts";
import { datapathValues, flowValues, meterValues, packetValues, vportValues } from "./tables.ts";

function roundTrips<Table extends AttributeTable>(
  t: Test,
  name: string,
  table: Table,
  arbitrary: fc.Arbitrary<Values<Table>>,
): void {
  fc.assert(
    fc.property(arbitrary, (values) => {
      const bytes = encodeAttributes(table, values);
      const decoded = decodeAttributes(table, bytes, 0, name);
      t.same(decoded.values, values);
      return Buffer.compare(encodeAttributes(table, decoded.values), bytes) === 0;
    }),
    runs(200),
  );
  t.pass(name);
}

t.test("values and bytes are each other's image", async (t) => {
  roundTrips(t, "flow", FLOW_ATTRIBUTES, flowValues);
  roundTrips(t, "packet", PACKET_ATTRIBUTES, packetValues);
  roundTrips(t, "vport", VPORT_ATTRIBUTES, vportValues);
  roundTrips(t, "datapath", DATAPATH_ATTRIBUTES, datapathValues);
  roundTrips(t, "meter", METER_ATTRIBUTES, meterValues);
});

t.test("damaged messages are refused with a place inside them, or mean what they say", async (t) => {
  const cases = fc.oneof(
    flowValues.map((values) => [FLOW_ATTRIBUTES, encodeAttributes(FLOW_ATTRIBUTES, values)] as const),
    packetValues.map((values) => [PACKET_ATTRIBUTES, encodeAttributes(PACKET_ATTRIBUTES, values)] as const),
    vportValues.map((values) => [VPORT_ATTRIBUTES, encodeAttributes(VPORT_ATTRIBUTES, values)] as const),
    datapathValues.map(
      (values) => [DATAPATH_ATTRIBUTES, encodeAttributes(DATAPATH_ATTRIBUTES, values)] as const,
    ),
    meterValues.map((values) => [METER_ATTRIBUTES, encodeAttributes(METER_ATTRIBUTES, values)] as const),
  );
  const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), {
    minLength: 1,
    maxLength: 4,
  });
  let refused = 0;
  fc.assert(
    fc.property(cases, damage, fc.nat(), ([table, bytes], bytesChanged, cut) => {
      const damaged = bytes.slice(0, bytes.length - (cut % 3));
      for (const [at, value] of bytesChanged) if (damaged.length > 0) damaged[at % damaged.length] = value;
      try {
        const { values } = decodeAttributes(table as AttributeTable, damaged, 0, "damaged");
        // The order may be another, padding may not be zero, flag bits of a type are passed over: the values say the same.
        const again = encodeAttributes(table as AttributeTable, values);
        t.same(decodeAttributes(table as AttributeTable, again, 0, "again").values, values);
      } catch (error) {
        if (!(error instanceof NetlinkError)) throw error;
        refused += 1;
        if (error.errno !== "EINVAL" || error.byteOffset === undefined || error.byteOffset > damaged.length)
          throw new Error(`refused as ${error.errno} at ${error.byteOffset}`);
      }
    }),
    runs(1000),
  );
  t.ok(refused > 100, `${refused} of 1000 were refused`);
});

t.test("each rule is told with its attribute, its place and what would be accepted", async (t) => {
  const refusal = (table: AttributeTable, bytes: readonly number[]): string => {
    try {
      decodeAttributes(table, Uint8Array.from(bytes), 0, "message");
    } catch (error) {
      return (error as Error).message;
    }
    return "accepted";
  };
  t.equal(
    refusal(FLOW_ATTRIBUTES, [4, 0, 40, 0]),
    "message (byte 0): unknown attribute 40; accepted: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11",
  );
  t.equal(
    refusal(FLOW_ATTRIBUTES, [4, 0, 6, 0, 4, 0, 6, 0]),
    "message (byte 4): clear stands twice; accepted: once",
  );
  t.equal(
    refusal(FLOW_ATTRIBUTES, [5, 0, 8, 0, 0, 0, 0, 0]),
    "message.probe (byte 0): 1 bytes; accepted: no payload",
  );
  t.equal(refusal(FLOW_ATTRIBUTES, [4, 0, 9, 0]), "message.ufid (byte 0): 0 bytes; accepted: 1 to 16 bytes");
  t.equal(
    refusal(FLOW_ATTRIBUTES, [4, 0, 6, 0, 200, 0, 8, 0]),
    "message (byte 4): 4 bytes are no whole attribute; accepted: attributes to the end",
  );
  t.equal(
    refusal(FLOW_ATTRIBUTES, [3, 0, 6, 0]),
    "message (byte 0): 4 bytes are no whole attribute; accepted: attributes to the end",
  );
  t.equal(
    refusal(VPORT_ATTRIBUTES, [12, 0, 4, 0, 4, 0, 1, 0, 4, 0, 1, 0]),
    "message.options.dstPort (byte 4): 0 bytes; accepted: 2 bytes",
  );
  t.match(
    refusal(VPORT_ATTRIBUTES, [7, 0, 3, 0, 97, 98, 99, 0]),
    /name \(byte 0\): no name; accepted: a name/,
  );
  t.match(refusal(VPORT_ATTRIBUTES, [8, 0, 3, 0, 97, 0, 99, 0]), /no name/, "a zero in the middle");
  t.match(refusal(VPORT_ATTRIBUTES, [6, 0, 3, 0, 0xff, 0, 0, 0]), /no name/, "no UTF-8");
  t.match(refusal(VPORT_ATTRIBUTES, [6, 0, 5, 0, 1, 2, 0, 0]), /one or more words of 4 bytes/);
});

t.test("every attribute number of a table is its own", async (t) => {
  for (const table of [
    FLOW_ATTRIBUTES,
    PACKET_ATTRIBUTES,
    VPORT_ATTRIBUTES,
    DATAPATH_ATTRIBUTES,
    CTRL_ATTRIBUTES,
    SOCKET_ATTRIBUTES,
  ]) {
    const types = Object.values(table as AttributeTable).map(({ type }) => type);
    t.equal(new Set(types).size, types.length);
  }
});

t.test("long payloads stop at what an attribute holds", async (t) => {
  const packet = new Uint8Array(65531);
  const bytes = encodeAttributes(PACKET_ATTRIBUTES, { packet });
  t.equal([...attributes(bytes)].length, 1);
  t.same(decodeAttributes(PACKET_ATTRIBUTES, bytes, 0, "packet").values, { packet });
  t.throws(() => encodeAttributes(PACKET_ATTRIBUTES, { packet: new Uint8Array(65532) }), RangeError);
});
