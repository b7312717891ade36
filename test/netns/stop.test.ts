// SIGTERM under load: the switch ends with code 0 and leaves no XDP program, interface, socket file or process.
import { existsSync } from "node:fs";
import t from "tap";
import { labUnavailable } from "../support/netns.ts";
import { Load, linksOf, withXdp } from "./load.ts";
import { type HostedPortType, SwitchRig } from "./switch-rig.ts";

const LOAD_PACKETS = 1000;
for (const type of ["afxdp", "af_packet", "tap"] as const satisfies readonly HostedPortType[]) {
  t.test(`SIGTERM under load of ${type} ports`, { skip: labUnavailable() ?? false }, async (t) => {
    const rig = new SwitchRig(t);
    const left = rig.addHost(type);
    const right = rig.addHost(type);
    await rig.start();
    const { pid } = await rig.callJson<{ pid: number }>("millrace/workers-show");
    if (type === "afxdp")
      t.same(withXdp(rig).sort(), [left.port, right.port].sort(), "XDP programs are attached");
    t.ok(existsSync(rig.socket), "the control socket is there");

    const load = new Load(left);
    await rig.until("traffic flows", async () => (await rig.statistics(right)).tx_packets >= LOAD_PACKETS);
    const end = await rig.signal("SIGTERM").finally(() => load.stop());
    t.same(end, { code: 0, signal: null }, "it ends with code 0");

    t.notOk(existsSync(`/proc/${pid}`), "no process is left");
    t.notOk(existsSync(rig.socket), "no control socket is left");
    t.same(withXdp(rig), [], "no XDP program is left");
    if (type === "tap")
      for (const { namespace, device } of [left, right])
        t.notOk(
          linksOf(rig, namespace).some(({ ifname }) => ifname === device),
          "no tap interface is left",
        );
    else
      t.ok(
        [left, right].every(({ port }) => linksOf(rig, rig.namespace).some(({ ifname }) => ifname === port)),
        "interfaces that were there before are there still",
      );
  });
}

/** Half of them AF_XDP, half AF_PACKET, each flooding all the others. */
const MANY = 8;

t.test("SIGTERM while every one of many ports is loaded", { skip: labUnavailable() ?? false }, async (t) => {
  const rig = new SwitchRig(t);
  const hosts = Array.from({ length: MANY }, (_, index) =>
    rig.addHost(index % 2 === 0 ? "afxdp" : "af_packet"),
  );
  await rig.start("memory: { frames: 65536, kernel-ring-bytes: 134217728 }");
  const loads = hosts.map((host) => new Load(host));
  await rig.until("traffic flows through every port", async () =>
    (await rig.show()).ports.every(({ statistics }) => statistics.tx_packets >= LOAD_PACKETS),
  );
  const started = performance.now();
  const end = await rig.signal("SIGTERM").finally(() => Promise.all(loads.map((load) => load.stop())));
  t.comment(`${MANY} loaded ports: stopped ${Math.round(performance.now() - started)} ms after SIGTERM`);
  t.same(end, { code: 0, signal: null });
  t.same(withXdp(rig), [], "no XDP program is left");
  t.notMatch(rig.errors, /frames stay unused|quarantine/, "no frame was given up");
});
