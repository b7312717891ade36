// VLANs of the learning switch with real hosts: two access ports of one VLAN reach each other, a third VLAN is apart,
// and a trunk carries both with tags that the host's own VLAN devices put on.
import t from "tap";
import { labUnavailable } from "../support/netns.ts";
import { type Host, SwitchRig } from "./switch-rig.ts";

t.test("access ports and a trunk", { skip: labUnavailable() ?? false }, async (t) => {
  const rig = new SwitchRig(t);
  const ten = rig.addHost("afxdp", ", vlan: { mode: access, tag: 10 }");
  const tenToo = rig.addHost("afxdp", ", vlan: { mode: access, tag: 10 }");
  const twenty = rig.addHost("af_packet", ", vlan: { mode: access, tag: 20 }");
  const trunk = rig.addHost("af_packet", ", vlan: { mode: trunk, trunks: [10, 20] }");
  await rig.start();
  for (const vid of [10, 20]) {
    const device = `v${vid}`;
    rig.lab.ip(
      trunk.namespace,
      "link",
      "add",
      "link",
      trunk.device,
      "name",
      device,
      "type",
      "vlan",
      "id",
      `${vid}`,
    );
    rig.lab.ip(trunk.namespace, "addr", "add", `10.8.0.${200 + vid}/24`, "dev", device);
    rig.lab.ip(trunk.namespace, "link", "set", device, "up");
  }
  // The trunk's own untagged address would answer for both.
  rig.lab.ip(trunk.namespace, "addr", "del", `10.8.0.${trunk.portNo}/24`, "dev", trunk.device);

  const reaches = (from: Host, address: string): boolean => {
    try {
      return /[1-9] received/.test(
        rig.lab.run(from.namespace, "ping", "-c", "2", "-i", "0.2", "-W", "1", address),
      );
    } catch {
      // ping says by its exit code that nobody answered.
      return false;
    }
  };
  t.ok(reaches(ten, `10.8.0.${tenToo.portNo}`), "access to access in one VLAN");
  t.notOk(reaches(ten, `10.8.0.${twenty.portNo}`), "not into another VLAN");
  t.ok(reaches(ten, "10.8.0.210"), "access to the trunk's VLAN 10");
  t.ok(reaches(twenty, "10.8.0.220"), "access to the trunk's VLAN 20");
  t.equal(await rig.stop(), 0);
});
