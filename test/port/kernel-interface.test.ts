// The interface that the host lives on is found from below: through whatever stands on it. Links that this machine has
// no driver for are answers planted by the test; a macvlan and a bridge are real.
import t from "tap";
import type { Link } from "../../src/native.ts";
import { interfacesAbove } from "../../src/port/kernel-interface.ts";
import { Lab, labUnavailable } from "../support/netns.ts";
import { PortRig } from "./port-rig.ts";

const skip = labUnavailable() ?? false;

type Row = Partial<Pick<Link, "master" | "lower" | "kind" | "lowerElsewhere">>;

/** Links as netlink lists them, numbered from 1 in the order given. */
const linkList = (...rows: readonly Row[]): Link[] =>
  rows.map(
    (row, index) =>
      ({ ifindex: index + 1, master: 0, lower: 0, kind: "", lowerElsewhere: false, ...row }) as Link,
  );
const above = (links: readonly Link[], ifindex = 1): number[] => [...interfacesAbove(ifindex, links)].sort();

t.test("what stands on an interface", async (t) => {
  t.strictSame(above(linkList({}, {})), [1], "nothing");
  t.strictSame(above(linkList({ master: 2 }, { kind: "bond" }, {})), [1, 2], "a bond");
  t.strictSame(above(linkList({ master: 2 }, { kind: "bridge" })), [1, 2], "a bridge");
  t.strictSame(
    above(linkList({}, { kind: "vlan", lower: 1 }, { kind: "vlan", lower: 1 })),
    [1, 2, 3],
    "VLANs",
  );
  t.strictSame(
    above(
      linkList({ master: 2 }, { kind: "bond" }, { kind: "vlan", lower: 2, master: 4 }, { kind: "bridge" }),
    ),
    [1, 2, 3, 4],
    "a bridge on a VLAN on a bond",
  );
  t.strictSame(
    above(linkList({ kind: "bridge" }, { kind: "vlan", lower: 3 }, { master: 1 }), 3),
    [1, 2, 3],
    "in whatever order the kernel lists them",
  );
  t.strictSame(above(linkList({}, { kind: "vlan", lower: 1 }), 2), [2], "not what stands below");
});

t.test("what only seems to stand on an interface", async (t) => {
  t.strictSame(above(linkList({ kind: "veth", lower: 2 }, { kind: "veth", lower: 1 })), [1], "a veth's peer");
  t.strictSame(
    above(linkList({}, { kind: "macvlan", lower: 1, lowerElsewhere: true })),
    [1],
    "a link on number 1 of another namespace",
  );
});

t.test("a default route through what stands on the interface", { skip }, async (t) => {
  const lab = new Lab(t);
  const near = lab.namespace("a");
  const [end] = lab.veth(near, lab.namespace("b"));
  lab.ip(near, "link", "add", "mrmac", "link", end.name, "type", "macvlan", "mode", "bridge");
  lab.ip(near, "link", "add", "mrbr", "type", "bridge");
  lab.ip(near, "link", "set", "mrmac", "master", "mrbr");
  for (const name of ["mrmac", "mrbr"]) lab.ip(near, "link", "set", name, "up");
  lab.ip(near, "addr", "add", "192.0.2.1/24", "dev", "mrbr");
  const rig = new PortRig();
  const open = (): ReturnType<PortRig["openPort"]> =>
    rig.openPort({ name: "p", type: "af_packet", options: { interface: end.name, netns: near } });
  await rig.close(await open());
  lab.ip(near, "route", "add", "default", "via", "192.0.2.2");
  await t.rejects(open(), {
    message: /carries the ipv4 default route through mrbr, which stands on it; .* option force: true/,
  });
  lab.ip(near, "route", "del", "default");
  await rig.close(await open());
});
