// A collector: prints the packets that flows sample to it, a line each, with the tunnel they would leave by.
//
//   millrace dpctl add-flow 'in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)' \
//     'sample(sample=1%,actions(userspace(pid=77,userdata(0102030405060708),tunnel_out_port=2))),2'
//   npm run collector -- --socket /run/millrace/millrace.nl --pid 77
//
// A line: when, the port it came in on, bytes in hand and on the wire, the action's userdata (sFlow, flow_sample and
// IPFIX cookies by their names), the egress tunnel's key when the action asked for a tunnel port's, the flow key.
// With --psample it also prints what psample() actions send to their group.
import { parseArgs } from "node:util";
import { printCookie } from "../src/action/odp/cookie.ts";
import { NlWriter } from "../src/flow/nlattr.ts";
import { KEY_ATTR } from "../src/flow/odp/attributes.ts";
import { formatFlow } from "../src/flow/odp/format-key.ts";
import { attributesOf, commandOf, NetlinkClient } from "../src/netlink/client.ts";
import { FAMILY } from "../src/netlink/families.ts";
import type { NetlinkMessage } from "../src/netlink/message.ts";
import { PACKET_ATTRIBUTES, PACKET_COMMAND, type PacketAttributes } from "../src/netlink/packet-messages.ts";
import { PSAMPLE_ATTRIBUTES } from "../src/netlink/psample-messages.ts";
import { bytesToHex } from "../src/packet/bytes.ts";

const { values: options } = parseArgs({
  options: {
    socket: { type: "string", default: "/run/millrace/millrace.nl" },
    pid: { type: "string", default: "77" },
    psample: { type: "boolean", default: false },
    /** Ends after so many lines; 0 goes on until Ctrl-C. */
    count: { type: "string", default: "0" },
  },
});

const client = await NetlinkClient.connect(options.socket);
let left = Number(options.count);

client.on("message", (message) => {
  const line = describe(message);
  if (line === undefined) return;
  console.log(`${new Date().toISOString()} ${line}`);
  left -= 1;
  if (left === 0) client.close();
});
client.on("overrun", (count) => console.log(`lost ${count}`));
client.on("closed", (error) => {
  if (error !== undefined) throw error;
});
await client.bind(Number(options.pid));
if (options.psample) await client.join(FAMILY.psample.group.id);
console.error(`listening on pid ${options.pid}`);

function describe(message: NetlinkMessage): string | undefined {
  if (message.type === FAMILY.psample.id) {
    const { group, data, originalBytes, userCookie, inPort } = attributesOf(
      FAMILY.psample,
      PSAMPLE_ATTRIBUTES,
      message,
    );
    const cookie = userCookie === undefined ? "" : ` cookie ${bytesToHex(userCookie)}`;
    return `psample group ${group} port ${inPort} ${data?.length ?? 0} of ${originalBytes} bytes${cookie}`;
  }
  if (message.type !== FAMILY.packet.id || commandOf(message) !== PACKET_COMMAND.action) return undefined;
  return describeAction(attributesOf(FAMILY.packet, PACKET_ATTRIBUTES, message));
}

function describeAction({ packet, length, key, userdata, egressTunnelKey }: PacketAttributes): string {
  const bytes = packet?.length ?? 0;
  const parts = [`${bytes} of ${length ?? bytes} bytes`];
  if (userdata !== undefined) parts.push(describeUserdata(userdata));
  if (egressTunnelKey !== undefined) parts.push(`egress ${describeTunnel(egressTunnelKey)}`);
  if (key !== undefined) parts.push(formatFlow(key, undefined));
  return parts.join(" ");
}

const describeUserdata = (userdata: Uint8Array): string =>
  printCookie(userdata, 0, userdata.length, undefined)?.slice(1) ?? `userdata ${bytesToHex(userdata)}`;

/** As the tunnel() of a flow key. */
function describeTunnel(attributes: Uint8Array): string {
  const key = new NlWriter();
  key.put(KEY_ATTR.tunnel, attributes);
  return formatFlow(key.finish(), undefined);
}
