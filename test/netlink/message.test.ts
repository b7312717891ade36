// Framing, headers and errors; the numbers against the kernel's own header files, and against tshark.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import t from "tap";
import type { AttributeTable } from "../../src/netlink/attribute-table.ts";
import { encodeAttributes } from "../../src/netlink/attribute-table.ts";
import { DATAPATH_ATTRIBUTES, DATAPATH_COMMAND, USER_FEATURE } from "../../src/netlink/datapath-messages.ts";
import { errnoName, NetlinkError } from "../../src/netlink/errno.ts";
import { CTRL_ATTRIBUTES, CTRL_COMMAND, FAMILY } from "../../src/netlink/families.ts";
import { FLOW_ATTRIBUTES, FLOW_COMMAND, UFID_OMIT } from "../../src/netlink/flow-messages.ts";
import { MessageFramer } from "../../src/netlink/framer.ts";
import {
  decodeError,
  encodeDone,
  encodeError,
  encodeGeneric,
  encodeMessage,
  MESSAGE_BYTES_MAX,
  messageAt,
  NLM_F,
  NLMSG,
} from "../../src/netlink/message.ts";
import {
  BAND_ATTRIBUTES,
  BAND_TYPE,
  METER_ATTRIBUTES,
  METER_COMMAND,
} from "../../src/netlink/meter-messages.ts";
import { PACKET_ATTRIBUTES, PACKET_COMMAND } from "../../src/netlink/packet-messages.ts";
import { PSAMPLE_ATTRIBUTES, PSAMPLE_COMMAND } from "../../src/netlink/psample-messages.ts";
import {
  TUNNEL_OPTIONS,
  VPORT_ATTRIBUTES,
  VPORT_COMMAND,
  VPORT_TYPE,
} from "../../src/netlink/vport-messages.ts";
import { runs } from "../support/seed.ts";

const HEADER = { type: 19, flags: NLM_F.request, sequence: 7, pid: 42 };

t.test("messages come out of a stream whole, however it is cut", async (t) => {
  const messages = fc.array(fc.tuple(fc.integer({ min: 0, max: 0xffff }), fc.uint8Array({ maxLength: 70 })), {
    maxLength: 8,
  });
  fc.assert(
    fc.property(messages, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (sent, cuts) => {
      const stream = Buffer.concat(
        sent.map(([type, payload]) => encodeMessage({ ...HEADER, type }, payload)),
      );
      const framer = new MessageFramer();
      const got: [number, Uint8Array][] = [];
      for (let at = 0, cut = 0; at < stream.length; cut += 1) {
        const bytes = cuts[cut % cuts.length]!;
        for (const message of framer.push(stream.subarray(at, at + bytes)))
          got.push([message.type, message.bytes.slice(16)]);
        at += bytes;
      }
      t.same(
        got.map(([type, payload]) => [type, [...payload]]),
        sent.map(([type, payload]) => [type, [...payload]]),
      );
      return framer.pendingBytes === 0;
    }),
    runs(200),
  );
  t.pass();
});

t.test("a length that cannot be one ends the stream", async (t) => {
  for (const length of [0, 15, MESSAGE_BYTES_MAX + 1, 0xffffffff]) {
    const bytes = new Uint8Array(16);
    new DataView(bytes.buffer).setUint32(0, length, true);
    t.throws(() => new MessageFramer().push(bytes), { errno: "EMSGSIZE", message: /16 to 262144/ });
  }
});

t.test("errors tell errno, text and place", async (t) => {
  const request = messageAt(encodeMessage(HEADER, new Uint8Array(40)))!;
  const refused = messageAt(encodeError(request, new NetlinkError("EEXIST", "a flow is in the way", 24)))!;
  t.match(refused, { type: NLMSG.error, sequence: 7, pid: 42, flags: NLM_F.capped | NLM_F.ackTlvs });
  const said = decodeError(refused);
  t.same(
    { ...said, errno: errnoName(said.errno) },
    { errno: "EEXIST", text: "a flow is in the way", byteOffset: 24 },
  );
  t.same(refused.bytes.slice(20, 36), request.bytes.slice(0, 16), "the request's header");
  t.same(decodeError(messageAt(encodeError(request))!), { errno: 0, text: "", byteOffset: undefined });
  t.match(messageAt(encodeDone(HEADER)), { type: NLMSG.done, flags: NLM_F.multi, sequence: 7 });
  t.throws(() => decodeError({ ...refused, bytes: refused.bytes.slice(0, 30) }), NetlinkError);
});

/** `mtu` to `MTU`, `tcpFlags` to `TCP_FLAGS`. */
const constant = (name: string): string => name.replace(/[A-Z]/g, "_$&").toUpperCase();

/** Where our words differ from the header's. */
const KERNEL_NAMES: Readonly<Record<string, string>> = {
  OVS_PACKET_ATTR_EGRESS_TUNNEL_KEY: "OVS_PACKET_ATTR_EGRESS_TUN_KEY",
  OVS_PACKET_ATTR_LENGTH: "OVS_PACKET_ATTR_LEN",
  OVS_VPORT_ATTR_UPCALL_PIDS: "OVS_VPORT_ATTR_UPCALL_PID",
  OVS_VPORT_ATTR_NETNS_ID: "OVS_VPORT_ATTR_NETNSID",
  CTRL_ATTR_HEADER_BYTES: "CTRL_ATTR_HDRSIZE",
  CTRL_ATTR_ATTRIBUTE_MAX: "CTRL_ATTR_MAXATTR",
  CTRL_ATTR_GROUPS: "CTRL_ATTR_MCAST_GROUPS",
  CTRL_CMD_GET_FAMILY: "CTRL_CMD_GETFAMILY",
  CTRL_CMD_NEW_FAMILY: "CTRL_CMD_NEWFAMILY",
  OVS_DP_F_UPCALL_PER_CPU: "OVS_DP_F_DISPATCH_UPCALL_PER_CPU",
  PSAMPLE_ATTR_IN_PORT: "PSAMPLE_ATTR_IIFINDEX",
  PSAMPLE_ATTR_OUT_PORT: "PSAMPLE_ATTR_OIFINDEX",
  PSAMPLE_ATTR_ORIGINAL_BYTES: "PSAMPLE_ATTR_ORIGSIZE",
  PSAMPLE_ATTR_GROUP: "PSAMPLE_ATTR_SAMPLE_GROUP",
  PSAMPLE_ATTR_SEQUENCE: "PSAMPLE_ATTR_GROUP_SEQ",
  PSAMPLE_ATTR_RATE: "PSAMPLE_ATTR_SAMPLE_RATE",
  PSAMPLE_ATTR_PROTOCOL: "PSAMPLE_ATTR_PROTO",
};
/** Newer than the header of Debian 12, or numbers of userspace. */
const NEWER =
  /^(OVS_VPORT_ATTR_UPCALL_STATS|PSAMPLE_ATTR_(USER_COOKIE|PROBABILITY)|OVS_PACKET_ATTR_UPCALL_PID|OVS_VPORT_TYPE_(ERSPAN|IP6.*|GTPU|BAREUDP|SRV6)|.*_PAD)$/;

function ourNumbers(): Map<string, number> {
  const all = new Map<string, number>();
  const add = (prefix: string, numbers: Readonly<Record<string, number>>): void => {
    for (const [name, number] of Object.entries(numbers)) {
      const ours = prefix + constant(name);
      if (!NEWER.test(ours)) all.set(KERNEL_NAMES[ours] ?? ours, number);
    }
  };
  const types = (table: AttributeTable): Record<string, number> =>
    Object.fromEntries(Object.entries(table).map(([name, { type }]) => [name, type]));
  add("OVS_FLOW_ATTR_", types(FLOW_ATTRIBUTES));
  add("OVS_FLOW_CMD_", FLOW_COMMAND);
  add("OVS_UFID_F_OMIT_", UFID_OMIT);
  add("OVS_PACKET_ATTR_", types(PACKET_ATTRIBUTES));
  add("OVS_PACKET_CMD_", PACKET_COMMAND);
  add("OVS_VPORT_ATTR_", types(VPORT_ATTRIBUTES));
  add("OVS_VPORT_CMD_", VPORT_COMMAND);
  add("OVS_VPORT_TYPE_", VPORT_TYPE);
  add("OVS_TUNNEL_ATTR_", types(TUNNEL_OPTIONS));
  add("OVS_DP_ATTR_", types(DATAPATH_ATTRIBUTES));
  add("OVS_DP_CMD_", DATAPATH_COMMAND);
  add("OVS_DP_F_", USER_FEATURE);
  add("OVS_METER_ATTR_", types(METER_ATTRIBUTES));
  add("OVS_METER_CMD_", METER_COMMAND);
  add("OVS_BAND_ATTR_", types(BAND_ATTRIBUTES));
  add("OVS_METER_BAND_TYPE_", BAND_TYPE);
  add("CTRL_ATTR_", types(CTRL_ATTRIBUTES));
  add("CTRL_CMD_", CTRL_COMMAND);
  add("PSAMPLE_ATTR_", types(PSAMPLE_ATTRIBUTES));
  add("PSAMPLE_CMD_", PSAMPLE_COMMAND);
  add("NLM_F_", NLM_F);
  add("NLMSG_", NLMSG);
  all.set("GENL_ID_CTRL", FAMILY.control.id);
  all.set("OVS_DATAPATH_VERSION", FAMILY.datapath.version);
  all.set("OVS_FLOW_VERSION", FAMILY.flow.version);
  return all;
}

const HEADERS = ["netlink", "genetlink", "openvswitch", "psample"].map((name) => `linux/${name}.h`);
const headersMissing = !HEADERS.every((name) => existsSync(`/usr/include/${name}`))
  ? "the kernel's header files are not installed"
  : spawnSync("g++", ["--version"]).error !== undefined && "no compiler";

t.test("numbers are those of the kernel's header files", { skip: headersMissing }, async (t) => {
  const numbers = ourNumbers();
  const lines = [...numbers.keys()].map(
    (name) => `  std::printf("${name} %d\\n", static_cast<int>(${name}));`,
  );
  const source = [
    ...HEADERS.map((name) => `#include <${name}>`),
    "#include <cstdio>",
    "int main() {",
    ...lines,
    "}",
  ];
  const folder = mkdtempSync(join(tmpdir(), "millrace-netlink-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "numbers.cc"), `${source.join("\n")}\n`);
  execFileSync("g++", ["-o", join(folder, "numbers"), join(folder, "numbers.cc")]);
  const printed = execFileSync(join(folder, "numbers"), { encoding: "utf8" }).trim().split("\n");
  t.same(
    printed,
    [...numbers].map(([name, number]) => `${name} ${number}`),
  );
});

const tsharkMissing = spawnSync("tshark", ["--version"]).error !== undefined && "no tshark installed";

t.test("tshark reads the headers as we wrote them", { skip: tsharkMissing }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-netlink-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const ask = encodeGeneric(
    { type: FAMILY.control.id, flags: NLM_F.request | NLM_F.ack, sequence: 5, pid: 9 },
    { command: CTRL_COMMAND.getFamily, version: 2 },
    undefined,
    encodeAttributes(CTRL_ATTRIBUTES, { familyName: "ovs_flow" }),
  );
  const refused = encodeError(messageAt(ask)!, new NetlinkError("ENOENT", "no such family", 20));
  writeFileSync(join(folder, "a.pcap"), netlinkCapture([ask, refused]));
  const fields = [
    "netlink.hdr_len",
    "netlink.hdr_type",
    "netlink.hdr_flags",
    "netlink.hdr_seq",
    "netlink.hdr_pid",
  ];
  fields.push("genl.ctrl.cmd", "genl.ctrl.family_name", "netlink.error");
  const args = ["-r", join(folder, "a.pcap"), "-T", "fields", ...fields.flatMap((field) => ["-e", field])];
  const printed = execFileSync("tshark", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  t.match(printed.split("\n")[0], /^36\t\t0x0005\t5\t9\t3\tovs_flow\t/);
  t.match(printed.split("\n")[1], /^64,36\t0x0002,0x0010\t0x0300,0x0005\t5,5\t9,9\t\t\t-2$/);
});

/** LINKTYPE_NETLINK: each message behind a cooked header of ARPHRD_NETLINK and the protocol NETLINK_GENERIC. */
function netlinkCapture(messages: readonly Uint8Array[]): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65535, 16);
  header.writeUInt32LE(253, 20);
  const records = messages.flatMap((message) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(message.length + 16, 8);
    record.writeUInt32LE(message.length + 16, 12);
    const cooked = Buffer.alloc(16);
    cooked.writeUInt16BE(4, 0);
    cooked.writeUInt16BE(824, 2);
    cooked.writeUInt16BE(16, 14);
    return [record, cooked, Buffer.from(message)];
  });
  return Buffer.concat([header, ...records]);
}
