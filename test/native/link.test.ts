// Links as netlink and ethtool describe them, held against `ip -json` and `ethtool` in namespaces of the
// test's own; events arrive on the event loop; a namespace's handle never moves the calling thread.
import { once } from "node:events";
import { readlinkSync } from "node:fs";
import t from "tap";
import { type LinkEvent, native, XDP_MODES } from "../../src/native.ts";
import { Lab, labUnavailable } from "../support/netns.ts";

const skip = labUnavailable() ?? false;

interface IpLink {
  readonly ifname: string;
  readonly ifindex: number;
  readonly mtu: number;
  readonly address: string;
  readonly flags: readonly string[];
  readonly num_rx_queues: number;
  readonly num_tx_queues: number;
  readonly linkinfo?: { readonly info_kind: string };
}

t.test("links are what ip(8) shows", { skip }, (t) => {
  const lab = new Lab(t);
  const namespace = lab.namespace("a");
  const [inner] = lab.veth(namespace, lab.namespace("b"), { mtu: 3000, queues: 4 });
  lab.ip(namespace, "link", "add", "name", "mrbr", "type", "bridge");
  lab.ip(namespace, "link", "set", inner.name, "master", "mrbr");
  const [one, other] = lab.veth(namespace, namespace);
  const addon = native();
  const fd = addon.linkOpen(addon.netnsOpen(namespace));
  t.teardown(() => addon.fdClose(fd));
  const links = addon.linkList(fd);
  const shown = JSON.parse(lab.ip(namespace, "-json", "-d", "link", "show")) as IpLink[];
  t.strictSame(links.map(({ name }) => name).sort(), shown.map(({ ifname }) => ifname).sort());
  for (const row of shown) {
    const link = links.find(({ name }) => name === row.ifname)!;
    t.match(
      link,
      {
        ifindex: row.ifindex,
        mtu: row.mtu,
        mac: row.address,
        kind: row.linkinfo?.info_kind ?? "",
        up: row.flags.includes("UP"),
        carrier: row.flags.includes("LOWER_UP"),
        rxQueues: row.num_rx_queues,
        txQueues: row.num_tx_queues,
      },
      row.ifname,
    );
    t.strictSame(addon.linkByName(fd, row.ifname)?.ifindex, row.ifindex);
    t.strictSame(addon.linkByIndex(fd, row.ifindex)?.name, row.ifname);
  }
  const index = (name: string): number => links.find((link) => link.name === name)!.ifindex;
  t.match(
    links.find(({ name }) => name === inner.name),
    { master: index("mrbr"), lowerElsewhere: true },
  );
  t.match(
    links.find(({ name }) => name === one.name),
    { lower: index(other.name), lowerElsewhere: false, master: 0 },
  );
  t.equal(XDP_MODES[links.find(({ name }) => name === inner.name)!.xdpMode], "none");
  t.equal(addon.linkByName(fd, "no-such-link"), undefined);
  t.equal(addon.linkByIndex(fd, 0x7fff_ffff), undefined);
  t.end();
});

t.test("addresses and default routes of a namespace", { skip }, (t) => {
  const lab = new Lab(t);
  const namespace = lab.namespace("a");
  const [first] = lab.veth(namespace, lab.namespace("b"));
  const [second] = lab.veth(namespace, lab.namespace("c"));
  lab.run(namespace, "sysctl", "-q", "-w", `net.ipv6.conf.${first.name}.disable_ipv6=0`);
  lab.ip(namespace, "addr", "add", "192.0.2.1/24", "dev", first.name);
  lab.ip(namespace, "addr", "add", "198.51.100.1/24", "dev", second.name);
  lab.ip(namespace, "addr", "add", "2001:db8::1/64", "dev", first.name, "nodad");
  const addon = native();
  const fd = addon.linkOpen(addon.netnsOpen(namespace));
  t.teardown(() => addon.fdClose(fd));
  t.strictSame(addon.defaultRouteList(fd), [], "no default route yet");
  lab.ip(namespace, "-6", "route", "add", "default", "via", "2001:db8::2");
  const hops = ["nexthop", "via", "192.0.2.2", "nexthop", "via", "198.51.100.2"];
  lab.ip(namespace, "route", "add", "default", ...hops);
  lab.ip(namespace, "route", "add", "default", "via", "192.0.2.3", "table", "77");
  lab.ip(namespace, "route", "add", "203.0.113.0/24", "via", "192.0.2.2");
  const one = addon.linkByName(fd, first.name)!.ifindex;
  const two = addon.linkByName(fd, second.name)!.ifindex;
  const routes = addon.defaultRouteList(fd).map((r) => `${r.table} ${r.family} ${r.ifindex} ${r.gateway}`);
  t.strictSame(routes.sort(), [
    `254 ipv4 ${one} 192.0.2.2`,
    `254 ipv4 ${two} 198.51.100.2`,
    `254 ipv6 ${one} 2001:db8::2`,
    `77 ipv4 ${one} 192.0.2.3`,
  ]);
  const addresses = addon.addressList(fd).filter(({ address }) => !address.startsWith("fe80"));
  t.strictSame(
    addresses.map((a) => `${a.ifindex} ${a.family} ${a.address}/${a.prefixLength}`).sort(),
    [
      `${one} ipv4 192.0.2.1/24`,
      `${one} ipv6 2001:db8::1/64`,
      `${two} ipv4 198.51.100.1/24`,
      "1 ipv4 127.0.0.1/8",
    ].sort(),
  );
  t.end();
});

t.test("changes are made, and told by events on the event loop", { skip }, async (t) => {
  const lab = new Lab(t);
  const namespace = lab.namespace("a");
  const [end] = lab.veth(namespace, lab.namespace("b"), { down: true });
  const addon = native();
  const netns = addon.netnsOpen(namespace);
  const fd = addon.linkOpen(netns);
  const events = addon.linkEventsOpen(netns);
  t.strictSame(addon.linkEventsRead(events), [], "none wait");
  const seen: LinkEvent[] = [];
  const waiting = new EventTarget();
  const stop = addon.fdWatch(events, (status) => {
    t.equal(status, 0);
    seen.push(...(addon.linkEventsRead(events) ?? []));
    waiting.dispatchEvent(new Event("events"));
  });
  // A watch alone doesn't keep the process alive.
  const alive = setInterval(() => {}, 1000);
  t.teardown(() => {
    clearInterval(alive);
    stop();
    stop();
    addon.fdClose(events);
    addon.fdClose(fd);
  });
  const until = async (accept: (event: LinkEvent) => boolean): Promise<void> => {
    while (!seen.some(accept)) await once(waiting, "events");
    seen.length = 0;
  };
  const { ifindex } = addon.linkByName(fd, end.name)!;
  addon.linkSetUp(fd, ifindex, true, end.name);
  await until(({ link }) => link.ifindex === ifindex && link.up);
  addon.linkSetMtu(fd, ifindex, 1400, end.name);
  await until(({ link }) => link.ifindex === ifindex && link.mtu === 1400);
  addon.linkSetUp(fd, ifindex, false, end.name);
  await until(({ link }) => link.ifindex === ifindex && !link.up);
  lab.ip(namespace, "link", "del", end.name);
  await until(({ gone, link }) => gone && link.name === end.name);
  t.throws(() => addon.linkSetUp(fd, ifindex, true, end.name), {
    code: "ENODEV",
    object: `RTM_NEWLINK, ${end.name} up`,
  });
});

t.test("ethtool: driver, channels, features", { skip }, (t) => {
  const lab = new Lab(t);
  const namespace = lab.namespace("a");
  const [end] = lab.veth(namespace, lab.namespace("b"), { queues: 4 });
  const addon = native();
  const fd = addon.ethtoolOpen(addon.netnsOpen(namespace));
  t.teardown(() => addon.fdClose(fd));
  t.match(addon.ethtoolDriver(fd, end.name), { driver: "veth" });
  t.match(addon.ethtoolChannels(fd, end.name), { maxRx: 4, maxTx: 4, rx: 4, tx: 4, combined: 0 });
  addon.ethtoolSetChannels(fd, end.name, 2, 2, 0);
  t.match(addon.ethtoolChannels(fd, end.name), { rx: 2, tx: 2 });
  t.match(lab.run(namespace, "ethtool", "-l", end.name), /Current hardware settings:\s+RX:\s+2\s+TX:\s+2/);
  t.throws(() => addon.ethtoolSetChannels(fd, end.name, 9, 1, 0), { code: "EINVAL", syscall: "ioctl" });
  t.throws(() => addon.ethtoolChannels(fd, "lo"), { code: "EOPNOTSUPP", object: "ETHTOOL_GCHANNELS, lo" });
  for (const on of [false, true]) {
    addon.ethtoolSetFeature(fd, end.name, "tx-checksum-ip-generic", on);
    t.equal(addon.ethtoolFeatures(fd, end.name)["tx-checksum-ip-generic"]?.active, on);
    t.match(lab.run(namespace, "ethtool", "-k", end.name), `tx-checksum-ip-generic: ${on ? "on" : "off"}`);
  }
  t.throws(() => addon.ethtoolSetFeature(fd, end.name, "no-such", true), { code: "EOPNOTSUPP" });
  t.equal(addon.ethtoolFeatures(fd, end.name)["netns-local"]?.active ?? false, false);
  t.equal(addon.ethtoolSpeed(fd, end.name), 10000, "veth says 10 Gb/s");
  t.throws(() => addon.ethtoolDriver(fd, "no-such-link"), { code: "ENODEV" });
  t.end();
});

t.test("a namespace handle is stable and leaves the caller where it is", { skip }, (t) => {
  const lab = new Lab(t);
  const namespace = lab.namespace("a");
  const addon = native();
  const before = readlinkSync("/proc/thread-self/ns/net");
  const handle = addon.netnsOpen(namespace);
  t.equal(addon.netnsOpen(namespace), handle, "the same namespace, the same handle");
  const fd = addon.linkOpen(handle);
  t.strictSame(
    addon
      .linkList(fd)
      .map(({ name }) => name)
      .filter((name) => name === "eth0"),
    [],
    "the links are the namespace's",
  );
  addon.fdClose(fd);
  t.equal(readlinkSync("/proc/thread-self/ns/net"), before, "this thread has not moved");
  t.throws(() => addon.netnsOpen("no-such-namespace"), { code: "ENOENT", syscall: "stat" });
  t.throws(() => addon.netnsOpen("/dev/null"), { code: "EINVAL", syscall: "setns" });
  t.end();
});
