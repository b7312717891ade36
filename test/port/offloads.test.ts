// Offloads that hide bytes or leave them unfinished: each that a veth has is switched on and off by ethtool while a port
// is open, whose notes follow; those that only hardware has are answers planted by the test.
import t from "tap";
import type { EthtoolFeature } from "../../src/native.ts";
import { offloadRules } from "../../src/port/afxdp/interface.ts";
import { type Offload, OWN_OFFLOADS, offloadNotes, PEER_OFFLOADS } from "../../src/port/offloads.ts";
import { Lab, labUnavailable } from "../support/netns.ts";
import type { RigPort } from "./afxdp/rig.ts";
import { PortRig } from "./port-rig.ts";

const skip = labUnavailable() ?? false;

const feature = (active: boolean): EthtoolFeature => ({ active, fixed: false });

t.test("each feature is named with what it does and what ends it", (t) => {
  for (const offload of [...Object.values(OWN_OFFLOADS), ...Object.values(PEER_OFFLOADS)] as Offload[]) {
    for (const name of offload.features) {
      t.strictSame(offloadNotes([offload], { [name]: feature(true), other: feature(true) }, "eth7"), [
        `${name} of eth7 ${offload.effect}; ethtool -K eth7 ${offload.setting}`,
      ]);
      t.strictSame(offloadNotes([offload], { [name]: feature(false), other: feature(true) }, "eth7"), []);
    }
  }
  t.end();
});

t.test("what a card does to an AF_XDP port depends on the hook", (t) => {
  const on = Object.fromEntries(
    ["rx-vlan-hw-parse", "rx-gro", "rx-gro-hw", "rx-lro"].map((name) => [name, feature(true)]),
  );
  const named = (mode: "native" | "generic", kind: string): string[] =>
    offloadNotes(offloadRules(mode, kind).own, on, "eth7").map((note) => note.split(" ")[0]!);
  t.strictSame(named("native", ""), ["rx-vlan-hw-parse", "rx-gro-hw", "rx-lro"]);
  t.strictSame(named("generic", ""), ["rx-vlan-hw-parse", "rx-gro", "rx-gro-hw", "rx-lro"]);
  t.strictSame(named("generic", "veth"), ["rx-gro", "rx-gro-hw", "rx-lro"]);
  t.end();
});

/** By ethtool's setting: of whose end, and the feature that the note names. */
type Row = readonly [end: "own" | "peer", settings: readonly string[], feature: string];

const CHECKSUM: Row = ["peer", ["tx"], "tx-checksum-ip-generic"];
const VLAN: Row = ["peer", ["txvlan", "tx-vlan-stag-hw-insert"], "tx-vlan-hw-insert"];
const TCP: Row = ["peer", ["tso"], "tx-tcp-segmentation"];
const UDP: Row = ["peer", ["tx-udp-segmentation"], "tx-udp-segmentation"];
const GRO: Row = ["own", ["gro"], "rx-gro"];

interface Case {
  readonly type: "afxdp" | "af_packet";
  readonly options: Readonly<Record<string, unknown>>;
  readonly rows: readonly Row[];
}

const CASES: readonly Case[] = [
  { type: "af_packet", options: {}, rows: [CHECKSUM, TCP, UDP, GRO] },
  { type: "afxdp", options: { "xdp-mode": "generic" }, rows: [CHECKSUM, VLAN, TCP, UDP, GRO] },
  // A veth whose peer has an XDP program of the driver's hook segments by itself: the kernel sees to it.
  { type: "afxdp", options: { "xdp-mode": "native" }, rows: [CHECKSUM, VLAN] },
];

for (const { type, options, rows } of CASES) {
  t.test(`notes of ${type} ${JSON.stringify(options)} follow ethtool`, { skip }, async (t) => {
    const lab = new Lab(t);
    const namespace = lab.namespace("a");
    const [own, peer] = lab.veth(namespace, namespace);
    const ethtool = (name: string, settings: readonly string[], state: "on" | "off"): void => {
      for (const setting of settings) lab.run(namespace, "ethtool", "-K", name, setting, state);
    };
    for (const [, settings] of [CHECKSUM, VLAN, TCP, UDP]) ethtool(peer.name, settings, "off");
    ethtool(own.name, ["gro"], "off");
    const rig = new PortRig();
    const port: RigPort = await rig.openPort({
      name: "p",
      type,
      options: {
        interface: own.name,
        netns: namespace,
        ...options,
        ...(type === "afxdp" ? { "ring-size": 128 } : {}),
      },
    });
    t.strictSame(port.port.status().notes, []);
    for (const [end, settings, name] of rows) {
      const device = end === "own" ? own.name : peer.name;
      // Segmentation needs checksums to be left unfinished; those are looked at for themselves.
      const needs = name.endsWith("segmentation") ? ["tx", "sg"] : [];
      ethtool(device, [...needs, ...settings], "on");
      const notes = port.port
        .status()
        .notes.filter((note) => needs.length === 0 || !note.startsWith("tx-checksum"));
      t.equal(notes.length, 1, notes.join("; "));
      const what = end === "own" ? device : `the peer ${device}`;
      t.match(notes[0], new RegExp(`^${name} of ${what} .*; ethtool -K ${device} ${settings[0]} off`));
      // The command that the note gives is the one that ends it.
      const [, command] = notes[0]!.split("; ");
      lab.run(namespace, ...(command!.split(" ") as [string, ...string[]]));
      ethtool(device, needs, "off");
      t.strictSame(port.port.status().notes, [], `${name}: the command of the note ends it`);
    }
    await rig.close(port);
  });
}

t.test("a peer in another namespace can't be asked, and that is said", { skip }, async (t) => {
  const lab = new Lab(t);
  const near = lab.namespace("a");
  const [own] = lab.veth(near, lab.namespace("b"));
  const rig = new PortRig();
  const port = await rig.openPort({
    name: "p",
    type: "af_packet",
    options: { interface: own.name, netns: near },
  });
  const { notes } = port.port.status();
  t.match(notes, [
    /^the peer of \S+ is in another namespace.* ethtool -K PEER tx off tso off tx-udp-segmentation off$/,
  ]);
  lab.ip(near, "link", "del", own.name);
  await rig.close(port);
});
