// Meters over the socket: what is set is what packets meet and what commands show; counts come back; bad requests change
// nothing.
import t from "tap";
import { METER_BANDS_MAX } from "../../../src/action/meter-layout.ts";
import { METER_COUNT_MAX } from "../../../src/memory/region-plan.ts";
import { FLOW_ATTRIBUTES, FLOW_COMMAND } from "../../../src/netlink/flow-messages.ts";
import { NLM_F } from "../../../src/netlink/message.ts";
import {
  BAND_TYPE,
  METER_ATTRIBUTES,
  METER_COMMAND,
  type MeterAttributes,
} from "../../../src/netlink/meter-messages.ts";
import { packet } from "../../upcall/traffic.ts";
import { FAMILY, flowOf, netlinkRig, read, until } from "./rig.ts";

const BAND = { type: BAND_TYPE.drop, rate: 1, burst: 3 };

t.test("meters are set, met, told and removed", async (t) => {
  const { connect, port, running } = await netlinkRig(t, 2);
  const client = await connect();
  const ask = async (command: number, values: MeterAttributes): Promise<MeterAttributes> => {
    const [answer] = await client.request(FAMILY.meter, command, METER_ATTRIBUTES, values);
    const told = read(FAMILY.meter, METER_ATTRIBUTES, answer);
    t.equal(told.command, command);
    return told.values;
  };
  t.same(await ask(METER_COMMAND.features, {}), {
    maxMeters: METER_COUNT_MAX,
    maxBands: METER_BANDS_MAX,
    bands: [{ type: BAND_TYPE.drop }],
  });
  t.same(await ask(METER_COMMAND.set, { id: 7, bands: [BAND] }), { id: 7 }, "there was none before");
  t.match(running.meters.view(7), { unit: "pktps", bands: [{ rate: 1, burst: 3 }] });
  const flow = flowOf("in_port(1),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(frag=no)", "meter(7),2");
  await client.request(FAMILY.flow, FLOW_COMMAND.new, FLOW_ATTRIBUTES, flow);
  for (let sent = 0; sent < 10; sent += 1) port("d1").inject(packet(1, 2));
  await until("the packets to have met it", () => running.meters.view(7)!.packets === 10);
  const bytes = BigInt(packet(1, 2).length);
  // However late the last ones came: a second gives one more.
  const { stats, bands } = await ask(METER_COMMAND.get, { id: 7 });
  t.same(stats, { packets: 10n, bytes: 10n * bytes });
  const dropped = bands![0]!.stats!;
  t.same([bands!.length, dropped.bytes], [1, dropped.packets * bytes]);
  t.same(Number(dropped.packets), running.meters.view(7)!.bands[0]!.packets, "as the command shows it");
  t.ok(dropped.packets > 0n && dropped.packets <= 7n, `${dropped.packets} of 10 dropped`);
  const two = [
    { ...BAND, rate: 100 },
    { ...BAND, rate: 200 },
  ];
  t.same(
    await ask(METER_COMMAND.set, { id: 7, kbps: true, bands: two }),
    { id: 7, stats, bands },
    "what had been counted",
  );
  t.match(running.meters.view(7), { unit: "kbps", packets: 0, bands: [{ rate: 100 }, { rate: 200 }] });
  t.equal((await ask(METER_COMMAND.del, { id: 7 })).bands!.length, 2);
  t.equal(running.meters.view(7), undefined);
});

t.test("bad requests are refused with their rule, and nothing changes", async (t) => {
  const { connect, running } = await netlinkRig(t, 0);
  const client = await connect();
  await client.request(FAMILY.meter, METER_COMMAND.set, METER_ATTRIBUTES, { id: 1, bands: [BAND] });
  const before = running.meters.list();
  const stats = { packets: 1n, bytes: 1n };
  const bad: readonly (readonly [number, MeterAttributes, string, RegExp])[] = [
    [METER_COMMAND.set, { bands: [BAND] }, "EINVAL", /id is missing/],
    [METER_COMMAND.set, { id: 1 }, "EINVAL", /bands are missing/],
    [METER_COMMAND.set, { id: 1, bands: [] }, "EINVAL", /0 bands, a meter has 1 to 8/],
    [METER_COMMAND.set, { id: 1, bands: Array(9).fill(BAND) }, "EINVAL", /9 bands, a meter has 1 to 8/],
    [METER_COMMAND.set, { id: 1, bands: [BAND, { rate: 1, burst: 1 }] }, "EINVAL", /band 1: accepted: attri/],
    [METER_COMMAND.set, { id: 1, bands: [{ ...BAND, type: 2 }] }, "EINVAL", /type 2; accepted: 1/],
    [METER_COMMAND.set, { id: 1, bands: [{ ...BAND, rate: 0 }] }, "EINVAL", /rate 0, it must be 1 to/],
    [METER_COMMAND.set, { id: 1, bands: [{ ...BAND, stats }] }, "EINVAL", /leave stats out/],
    [METER_COMMAND.set, { id: 1, bands: [BAND], stats }, "EOPNOTSUPP", /leave stats out/],
    [METER_COMMAND.set, { id: METER_COUNT_MAX, bands: [BAND] }, "EINVAL", /accepted: 0 to 262143/],
    [METER_COMMAND.get, {}, "EINVAL", /id is missing/],
    [METER_COMMAND.get, { id: 2 }, "ENOENT", /there is no meter 2/],
    [METER_COMMAND.del, { id: 2 }, "ENOENT", /there is no meter 2/],
    [9, {}, "EOPNOTSUPP", /ovs_meter has no command 9/],
  ];
  for (const [command, values, errno, message] of bad) {
    const refused = client.request(FAMILY.meter, command, METER_ATTRIBUTES, values);
    await t.rejects(refused, { name: "NetlinkError", errno, message });
  }
  const dump = client.request(FAMILY.meter, METER_COMMAND.get, METER_ATTRIBUTES, {}, { flags: NLM_F.dump });
  await t.rejects(dump, { name: "NetlinkError", errno: "EOPNOTSUPP" });
  t.same(running.meters.list(), before);
});
