// The host behind LOCAL, and two VLANs that a patch joins: an access port of each VLAN is one end of the pair.
import t from "tap";
import { labUnavailable } from "../support/netns.ts";
import { type Host, SwitchRig } from "./switch-rig.ts";

const LOCAL_ADDRESS = "10.8.0.100";

/** @throws when nobody answers */
const ping = (rig: SwitchRig, from: Host, address: string): string =>
  rig.lab.run(from.namespace, "ping", "-c", "3", "-i", "0.2", "-W", "10", address);

t.test("LOCAL is the host's interface", { skip: labUnavailable() ?? false }, async (t) => {
  const rig = new SwitchRig(t);
  const host = rig.addHost("afxdp");
  const local = rig.lab.interfaceName();
  await rig.start(`local-port: ${local}`);
  rig.lab.run(rig.namespace, "ip", "addr", "add", `${LOCAL_ADDRESS}/24`, "dev", local);
  t.match(ping(rig, host, LOCAL_ADDRESS), /3 received/);
  const [port] = (await rig.show()).ports;
  t.match(port, { portNo: 0, name: local, type: "internal", up: true });
  await t.rejects(
    rig.call("dpctl/del-if", "netdev@millrace", local),
    /deleting port .* failed \(Invalid argument\)/,
  );
  t.match(ping(rig, host, LOCAL_ADDRESS), /3 received/, "it is still there");
  await rig.stop();
});

t.test("a patch joins two VLANs", { skip: labUnavailable() ?? false }, async (t) => {
  const rig = new SwitchRig(t);
  const ten = rig.addHost("afxdp", ", vlan: { mode: access, tag: 10 }");
  const twenty = rig.addHost("afxdp", ", vlan: { mode: access, tag: 20 }");
  rig.addPort("{ name: p10, type: patch, options: { peer: p20 }, vlan: { mode: access, tag: 10 } }");
  rig.addPort("{ name: p20, type: patch, options: { peer: p10 }, vlan: { mode: access, tag: 20 } }");
  await rig.start();
  t.match(ping(rig, ten, `10.8.0.${twenty.portNo}`), /3 received/);
  const patches = (await rig.show()).ports.filter(({ name }) => name === "p10" || name === "p20");
  t.ok(
    patches.every(({ statistics }) => statistics.rx_packets > 0 && statistics.tx_packets > 0),
    "and all of it went by the patch",
  );
  await rig.stop();
});
