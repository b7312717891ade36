// Encapsulation and decapsulation against the real Open vSwitch's bytes, in any chain of frames.
import t from "tap";
import { FIELDS, K } from "../../src/flow/fields.ts";
import { keysEqual } from "../../src/flow/key.ts";
import { parseMatch } from "../../src/flow/odp/match.ts";
import { bytesToHex, hexToBytes } from "../../src/packet/bytes.ts";
import { ETH_TYPE } from "../../src/packet/link-headers.ts";
import { TUNNEL_TYPE } from "../../src/packet/tunnel-headers.ts";
import { maskChosen } from "../support/conformance/tunnel-ports.ts";
import { corporaSkipReason } from "../support/corpora.ts";
import { SeededRandom } from "../support/random.ts";
import { SEED } from "../support/seed.ts";
import { pushedHeader, ROW_PORTS, rowName, tunnelRows } from "./corpus-rows.ts";
import { type Popped, TunnelRig } from "./rig.ts";

const ETH_BYTES = 14;
const TUNNEL_FIELDS = FIELDS.filter(({ group }) => group === "tunnel");
/** Most bytes in one frame of a chain; the first number makes one frame of every packet. */
const SEGMENTS = [Number.MAX_SAFE_INTEGER, 64, 7];

const DAMAGE_ROUNDS = 4000;
/** Where damage is done: Ethernet, IPv6, UDP and tunnel headers. */
const OUTER_BYTES = 80;
const TYPES = Object.values(TUNNEL_TYPE);
const PAYLOAD_TYPES = [ETH_TYPE.ipv4, ETH_TYPE.mpls];

/** What the oracle's actions leave of the inner packet before they push. */
function innerOf(hex: string, actions: string): { packet: Uint8Array; innerType: number } {
  const packet = hexToBytes(hex);
  if (!actions.includes("pop_eth")) return { packet, innerType: 0 };
  const at =
    actions.includes("pop_vlan") || bytesToHex(packet.subarray(12, 14)) === "8100"
      ? ETH_BYTES + 4
      : ETH_BYTES;
  return { packet: packet.subarray(at), innerType: (packet[at - 2]! << 8) | packet[at - 1]! };
}

t.test("rows of the corpus: encapsulation", { skip: corporaSkipReason() }, async (t) => {
  const rig = new TunnelRig();
  for (const row of tunnelRows()) {
    for (const segmentBytes of SEGMENTS) {
      const flow = row.dp_flows[0]!;
      const { type, header } = pushedHeader(flow);
      const { packet, innerType } = innerOf(row.in, flow.slice(flow.indexOf("actions:")));
      const wanted = row.encap_out[0]!;
      // Sequence numbers count all packets of a port, of which a row is one.
      if (type === TUNNEL_TYPE.gre && (header[34]! & 0x10) !== 0)
        rig.sequence = Number.parseInt(wanted.slice(92, 100), 16);
      if (type === TUNNEL_TYPE.erspan) rig.sequence = Number.parseInt(wanted.slice(76, 84), 16);
      const found = rig.encapsulate(packet, header, type, innerType, segmentBytes);
      t.equal(
        maskChosen(bytesToHex(found!)),
        maskChosen(wanted),
        `${rowName(row)} in frames of ${segmentBytes}`,
      );
    }
  }
});

t.test("rows of the corpus: decapsulation", { skip: corporaSkipReason() }, async (t) => {
  const rig = new TunnelRig();
  for (const row of tunnelRows()) {
    const { type } = pushedHeader(row.dp_flows[0]!);
    for (const segmentBytes of SEGMENTS) {
      const popped = rig.decapsulate(hexToBytes(row.decap_in), { type }, segmentBytes);
      const flow = row.decap_dp_flows.find((line) => line.includes("tunnel("));
      if (flow === undefined) continue;
      t.equal(bytesToHex(popped!.inner), row.decap_out[0], rowName(row));
      // The key as the oracle printed it: bits that the mask does not look at are printed all the same.
      const { key } = parseMatch(flow.slice(0, flow.indexOf(", packets:")), { ports: ROW_PORTS });
      const differing = TUNNEL_FIELDS.filter(
        ({ offset, bytes }) =>
          !keysEqual(popped!.key.subarray(offset, offset + bytes), key.subarray(offset, offset + bytes)),
      );
      t.strictSame(
        differing.map(({ name }) => name),
        [],
        `${rowName(row)}: the key's tunnel fields`,
      );
    }
  }
});

t.test(
  "the oracle's own GTP-U packets are refused for their checksum, mended ones are taken",
  { skip: corporaSkipReason() },
  async (t) => {
    const rig = new TunnelRig();
    for (const row of tunnelRows().filter(({ tunnel, inner }) => tunnel === "gtpu" && inner !== "arp")) {
      t.equal(rig.decapsulate(hexToBytes(row.decap_in), { type: TUNNEL_TYPE.gtpu }), undefined, rowName(row));
      const mended = hexToBytes(row.decap_in);
      mended.fill(0, 40, 42);
      const popped = rig.decapsulate(mended, { type: TUNNEL_TYPE.gtpu });
      t.equal(popped?.innerType, row.inner === "tcp6" ? ETH_TYPE.ipv6 : ETH_TYPE.ipv4, rowName(row));
      t.equal(popped!.key[K.tun_gtpu_msgtype], 255, rowName(row));
    }
  },
);

t.test(
  "random damage to outer headers: a chain of frames answers as one frame does",
  { skip: corporaSkipReason() },
  async (t) => {
    const random = new SeededRandom(SEED);
    const rig = new TunnelRig();
    const rows = tunnelRows();
    let taken = 0;
    for (let round = 0; round < DAMAGE_ROUNDS; round += 1) {
      const row = random.pick(rows);
      const packet = hexToBytes(row.decap_in);
      const outerBytes = Math.min(packet.length, OUTER_BYTES);
      for (let count = random.below(3); count > 0; count -= 1)
        packet[random.below(outerBytes)] = random.below(256);
      const cut = packet.subarray(0, random.below(4) === 0 ? 1 + random.below(packet.length) : packet.length);
      const type = random.pick(TYPES);
      const port = { type, hasGbp: random.below(2) === 0, payloadType: random.pick(PAYLOAD_TYPES) };
      const whole = rig.decapsulate(cut, port);
      const chained = rig.decapsulate(cut, port, 1 + random.below(64));
      if (whole !== undefined) taken += 1;
      if (describe(whole) !== describe(chained)) {
        t.fail(
          `type ${type}: ${bytesToHex(cut)} gives ${describe(whole)} whole and ${describe(chained)} in frames`,
        );
        return;
      }
    }
    t.ok(taken > DAMAGE_ROUNDS / 100, `${taken} of ${DAMAGE_ROUNDS} were taken`);
  },
);

const describe = (popped: Popped | undefined): string =>
  popped === undefined
    ? "refused"
    : `${popped.innerType} ${bytesToHex(popped.inner)} ${bytesToHex(popped.key)}`;
