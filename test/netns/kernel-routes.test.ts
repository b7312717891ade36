// Routes and neighbours of the kernel's: the same routes as the real Open vSwitch reads in the same namespace, also after
// changes; and a tunnel whose next hop comes from the kernel's tables alone.
import t from "tap";
import { labUnavailable } from "../support/netns.ts";
import { oracleSkipReason } from "../support/oracle-process.ts";
import { FarOvs } from "./far-ovs.ts";
import { type Host, SwitchRig } from "./switch-rig.ts";

const INNER_MTU = 1400;
const NEAR_OUTER = "10.9.0.1";
const NEXT_HOP = "10.9.0.2";
const FAR_OUTER = "10.20.0.2";
const FAR_INNER = "10.8.0.2";
const lab = labUnavailable() ?? false;

const sorted = (text: string): string[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .sort();

t.test("ovs/route/show as Open vSwitch's", { skip: lab || oracleSkipReason() }, async (t) => {
  const rig = new SwitchRig(t);
  const { namespace } = rig;
  const [, wire] = rig.lab.veth(rig.lab.namespace("far"), namespace);
  const [, other] = rig.lab.veth(rig.lab.namespace("net"), namespace);
  const ip = (...args: string[]): string => rig.lab.ip(namespace, ...args);
  rig.lab.run(namespace, "sysctl", "-q", "-w", `net.ipv6.conf.${other.name}.disable_ipv6=0`);
  ip("addr", "add", "10.77.0.1/24", "dev", other.name);
  ip("addr", "add", "10.77.9.1/24", "dev", other.name);
  ip("addr", "add", "fd77::1/64", "dev", other.name, "nodad");
  ip("route", "add", "10.78.0.0/16", "via", "10.77.0.2");
  ip("route", "add", "10.79.0.0/16", "via", "10.77.9.2");
  ip("route", "add", "fd78::/48", "via", "fd77::2");
  rig.addPort('{ name: n1, type: "null" }');
  await rig.start();
  const ovs = new FarOvs(t, rig.lab, namespace);
  const outer = { wire: wire.name, outer: "10.66.0.1/24", inner: "10.67.0.1/24" };
  await ovs.start({ ...outer, type: "vxlan", options: ["remote_ip=10.66.0.2"] });

  const both = async (): Promise<[ours: string[], theirs: string[]]> => [
    sorted(await rig.call("ovs/route/show")),
    sorted(ovs.appctl("ovs/route/show")),
  ];
  /** Both may be asked while an address is still settling, so they are asked until they agree. */
  const agree = async (about: string, line: RegExp, isThere: boolean): Promise<void> => {
    let [ours, theirs]: [string[], string[]] = [[], []];
    await rig
      .until(about, async () => {
        [ours, theirs] = await both();
        return (
          JSON.stringify(ours) === JSON.stringify(theirs) && ours.some((text) => line.test(text)) === isThere
        );
      })
      .catch(() => undefined);
    t.strictSame(ours, theirs, about);
    t.equal(
      ours.some((text) => line.test(text)),
      isThere,
      `${about}: ${line}`,
    );
  };
  await agree("the same routes", /^Cached: 10\.78\.0\.0\/16 dev \S+ GW 10\.77\.0\.2 SRC 10\.77\.0\.1$/, true);
  ip("route", "add", "10.99.0.0/16", "via", "10.77.0.3");
  await agree("one that came", /^Cached: 10\.99\.0\.0\/16 .* GW 10\.77\.0\.3 SRC/, true);
  ip("route", "del", "fd78::/48");
  await agree("one that went", /fd78::\/48/, false);
  for (const destination of ["10.78.1.1", "10.79.3.4", "10.77.0.1", "fd77::9", "203.0.113.1"]) {
    const theirs = ovs.appctlAnswer("ovs/route/lookup", destination);
    const ours = await rig.call("ovs/route/lookup", destination).catch((error: Error) => error.message);
    if (theirs.code === 0) t.equal(ours.trimEnd(), theirs.out.trimEnd(), `the way to ${destination}`);
    else t.match(ours, "Not found", `no way to ${destination}`);
  }
  t.equal(await rig.stop(), 0, "the switch ends with code 0");
});

t.test("a tunnel whose next hop comes from the kernel's tables alone", { skip: lab }, async (t) => {
  const rig = new SwitchRig(t);
  const near = rig.addHost("af_packet", "", INNER_MTU);
  const namespace = rig.lab.namespace("far");
  const [wire, ours] = rig.lab.veth(namespace, rig.namespace);
  rig.lab.run(namespace, "ethtool", "-K", wire.name, "tx", "off", "tso", "off", "gso", "off");
  rig.addPort(`{ name: ${ours.name}, type: af_packet, addresses: ["${NEAR_OUTER}/24"] }`);
  rig.addPort(`{ name: tun, type: vxlan, options: { key: 77, remote_ip: ${FAR_OUTER} } }`);
  await rig.start();
  farEnd(rig, namespace, wire.name);
  t.notOk(isReached(rig, near), "no way yet");

  rig.lab.ip(rig.namespace, "route", "add", "10.20.0.0/16", "via", NEXT_HOP, "dev", ours.name, "onlink");
  const mac = rig.lab.run(namespace, "cat", `/sys/class/net/${wire.name}/address`).trim();
  const neighbour = [NEXT_HOP, "lladdr", mac, "dev", ours.name, "nud", "permanent"] as const;
  rig.lab.ip(rig.namespace, "neigh", "add", ...neighbour);
  await rig.until("the far end answers", async () => isReached(rig, near));
  t.match(
    await rig.call("ovs/route/show"),
    `Cached: 10.20.0.0/16 dev ${ours.name} GW ${NEXT_HOP} SRC ${NEAR_OUTER}`,
  );
  t.notMatch(await rig.call("tnl/neigh/show"), NEXT_HOP, "it has not told us its address");
  const rows = await rig.callJson<{ ip: string; origin: string }[]>("tnl/neigh/show");
  t.match(
    rows.find((row) => row.ip === NEXT_HOP),
    { mac, bridge: ours.name, origin: "kernel" },
  );

  rig.lab.ip(rig.namespace, "route", "del", "10.20.0.0/16");
  await rig.until("the way is gone", async () => !isReached(rig, near));
  await t.rejects(rig.call("ovs/route/lookup", FAR_OUTER), /Not found/);
  const { drops } = await rig.callJson<{ drops: Record<string, number> }>("millrace/drops-show");
  t.ok(drops["tunnel_route"]! > 0, "packets are dropped for want of a route");
  t.equal(await rig.stop(), 0, "the switch ends with code 0");
});

/** Linux' vxlan device behind a router that answers no ARP request. */
function farEnd(rig: SwitchRig, namespace: string, wire: string): void {
  const { lab } = rig;
  lab.run(namespace, "sysctl", "-q", "-w", `net.ipv4.conf.${wire}.arp_ignore=8`);
  lab.ip(namespace, "addr", "add", `${NEXT_HOP}/24`, "dev", wire);
  lab.ip(namespace, "link", "set", "lo", "up");
  lab.ip(namespace, "addr", "add", `${FAR_OUTER}/32`, "dev", "lo");
  lab.ip(
    ...([namespace, "link", "add", "vx", "type", "vxlan", "id", "77", "remote", NEAR_OUTER] as const),
    ...(["local", FAR_OUTER, "dstport", "4789"] as const),
  );
  lab.run(namespace, "ethtool", "-K", "vx", "tx", "off", "tso", "off", "gso", "off");
  lab.ip(namespace, "link", "set", "vx", "mtu", String(INNER_MTU), "up");
  lab.ip(namespace, "addr", "add", `${FAR_INNER}/24`, "dev", "vx");
}

function isReached(rig: SwitchRig, near: Host): boolean {
  try {
    rig.lab.run(near.namespace, "ping", "-c", "1", "-W", "1", FAR_INNER);
    return true;
  } catch {
    // ping says by its exit code that nobody answered.
    return false;
  }
}
