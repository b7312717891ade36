// The null port: what is sent to it is counted and its frames come back.
import t from "tap";
import { readPortCounters } from "../../../src/port/counters.ts";
import { testFrame } from "../../support/peer.ts";
import { FRAME_COUNT } from "../afxdp/rig.ts";
import { PortRig } from "../port-rig.ts";

t.test("frames and chains are counted and freed", async (t) => {
  const rig = new PortRig();
  const port = await rig.openPort({ name: "n", type: "null" });
  const sizes = [60, 1514, 5000, 9022];
  for (const [number, bytes] of sizes.entries()) port.tx[0]!.put(rig.packet(testFrame(number, bytes), 1000));
  port.tx[0]!.flush();
  port.tx[0]!.flush();
  t.match(readPortCounters(rig.arena, 0), {
    tx_packets: sizes.length,
    tx_bytes: sizes.reduce((sum, bytes) => sum + bytes, 0),
    tx_dropped: 0,
  });
  t.match(rig.totals().counters, { transmitted: sizes.length, tx_batches: 1 });
  port.tx[0]!.put(rig.packet(testFrame(9)));
  await rig.close(port);
  t.equal(readPortCounters(rig.arena, 0).tx_packets, sizes.length + 1, "closing counts what was put");
  t.equal(rig.pooled(), FRAME_COUNT);
});

t.test("it has nothing to receive from and no options", async (t) => {
  const rig = new PortRig();
  const port = await rig.openPort({ name: "n", type: "null" });
  t.equal(port.rx.length, 0);
  t.throws(() => port.port.rxAttachment(0), /port n: rx queue 0/);
  t.match(port.port.status(), { up: true, mtu: 9000 });
  await t.rejects(rig.openPort({ name: "n", type: "null", options: { rx: "x" } }), /option rx: .*remove it/);
  await t.rejects(rig.openPort({ name: "n", type: "null", rxqCount: 2 }), /remove rx-queues/);
  await rig.close(port);
});
