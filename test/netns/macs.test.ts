// 10,000 MAC addresses behind one port: all are learned, and the table keeps to its bound when more come.
import t from "tap";
import { buildFrame } from "../../src/packet/builder.ts";
import { ethernet } from "../../src/packet/builder-link.ts";
import { labUnavailable } from "../support/netns.ts";
import { FrameSender } from "./sender.ts";
import { SwitchRig } from "./switch-rig.ts";

const MAC_COUNT = 10_000;
const TABLE_SIZE = 12_000;

function* announcements(from: number, count: number): Generator<Uint8Array> {
  for (let index = from; index < from + count; index += 1) {
    const src = Uint8Array.of(2, 0, 0, 1, index >>> 8, index & 0xff);
    yield buildFrame([ethernet({ src, dst: "02:00:00:00:99:99", type: 0x88b5 })], new Uint8Array(46));
  }
}

t.test("10,000 MACs", { skip: labUnavailable() ?? false }, async (t) => {
  const rig = new SwitchRig(t);
  const noisy = rig.addHost("afxdp");
  rig.addHost("afxdp");
  await rig.start(`policy: { type: learn, mac-table-size: ${TABLE_SIZE} }`);
  const sender = new FrameSender(noisy);
  t.teardown(() => sender.close());

  const learned = async (): Promise<number> =>
    (await rig.callJson<{ port: number; mac: string }[]>("fdb/show")).filter(
      ({ port, mac }) => port === noisy.portNo && mac.startsWith("02:00:00:01:"),
    ).length;

  await sender.send(announcements(0, MAC_COUNT));
  await rig.until("10,000 MACs are learned", async () => {
    const count = await learned();
    if (count < MAC_COUNT) await sender.send(announcements(0, MAC_COUNT));
    return count === MAC_COUNT;
  });
  t.pass("all are learned");

  await sender.send(announcements(MAC_COUNT, MAC_COUNT));
  // The table is read in slices, so a picture taken while addresses give way may show both the old and the new.
  let before = -1;
  await rig.until("the table is at rest", async () => {
    const count = await learned();
    const isAtRest = count === before;
    before = count;
    return isAtRest;
  });
  t.ok(before <= TABLE_SIZE, "the table keeps to its bound");
  t.equal(await rig.stop(), 0);
});
