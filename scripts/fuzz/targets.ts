// Fuzz targets: one for each parser that reads what a stranger may have written. A target takes any bytes; it returns,
// or throws the error that its parser documents. Anything else is a finding.
import { parseActions } from "../../src/action/odp/parse-actions.ts";
import { printActions } from "../../src/action/odp/print-actions.ts";
import { validateActions } from "../../src/action/validate.ts";
import { ConfigError, parseConfig } from "../../src/control/config/load.ts";
import { FlowFileError, parseFlowFile } from "../../src/control/flow-file.ts";
import { JsonStream } from "../../src/control/unixctl/json-stream.ts";
import { KeyExtractor } from "../../src/flow/extract-key.ts";
import { FlowFilterError, parseFilter } from "../../src/flow/filter.ts";
import { newKey } from "../../src/flow/key.ts";
import { FlowKeyError } from "../../src/flow/odp/fit.ts";
import {
  attributesFromMatch,
  attributesFromPacketKey,
  formatMatch,
  formatOdpKey,
  matchFromAttributes,
  parseMatch,
} from "../../src/flow/odp/match.ts";
import { OdpSyntaxError } from "../../src/flow/odp/text-cursor.ts";
import {
  type AttributeTable,
  decodeAttributes,
  encodeAttributes,
} from "../../src/netlink/attribute-table.ts";
import { NetlinkError } from "../../src/netlink/errno.ts";
import { FAMILIES } from "../../src/netlink/families.ts";
import { MessageFramer } from "../../src/netlink/framer.ts";
import { encodeMessage, genericHeader } from "../../src/netlink/message.ts";
import { buildFrame } from "../../src/packet/builder.ts";
import { ethernet, vlan } from "../../src/packet/builder-link.ts";
import { ipv4, ipv6 } from "../../src/packet/builder-network.ts";
import { tcp, udp } from "../../src/packet/builder-transport.ts";
import { CaptureError, type CaptureReader } from "../../src/packet/capture.ts";
import { PcapReader } from "../../src/packet/pcap.ts";
import { PcapngReader } from "../../src/packet/pcapng.ts";

export interface FuzzTarget {
  readonly name: string;
  /** What mutation begins with. */
  readonly seeds: readonly Uint8Array[];
  /** Errors that say no. */
  readonly refusals: readonly (abstract new (
    ...args: never[]
  ) => Error)[];
  run(input: Uint8Array): void;
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (input: Uint8Array): string => Buffer.from(input).toString("utf8");
const NO_PORTS = { numbers: new Map<string, number>(), names: new Map<number, string>() };

const MATCHES = [
  "in_port(1),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.0.1/255.0.0.0,proto=6,frag=no),tcp(dst=80),tcp_flags(+syn-ack)",
  "in_port(1),eth(),eth_type(0x8100),vlan(vid=5,pcp=0),encap(eth_type(0x86dd),ipv6(src=::1,label=0x1/0xfffff,proto=58,frag=no),icmpv6(type=135,code=0),nd(target=fe80::1))",
  "tunnel(tun_id=0x1,src=1.1.1.1,dst=2.2.2.2,geneve({class=0xffff,type=0x80,len=4,0xa/0xf}),flags(df|key)),in_port(3),eth(),eth_type(0x8847),mpls(label=1,tc=0,ttl=64,bos=1)",
  "ufid:00112233-4455-4677-8899-aabbccddeeff,in_port(1),packet_type(ns=1,id=0x894f),eth_type(0x894f),nsh(mdtype=1,np=3,spi=0x1,si=255,c1=0x1)",
];
const ACTIONS = [
  "1,set(ipv4(src=1.2.3.4,ttl=7)),push_vlan(vid=5,pcp=1),2,pop_vlan,trunc(100),3",
  "sample(sample=50%,actions(userspace(pid=1,sFlow(vid=0,pcp=0,output=1)),clone(set(tcp(src=1)),2))),recirc(7)",
  "check_pkt_len(size=200,gt(4),le(5)),userspace(pid=1,userdata(0102),tunnel_out_port=3)",
  "tnl_push(tnl_port(4),header(size=50,type=4,eth(dst=aa:55:aa:55:00:00,src=f8:bc:12:44:34:b6,dl_type=0x0800),ipv4(src=1.1.2.88,dst=1.1.2.92,proto=17,tos=0,ttl=64,frag=0x4000),udp(src=0,dst=4789,csum=0x0),vxlan(flags=0x8000000,vni=0x1c7)),out_port(1))",
  "ct(commit,zone=5,mark=1/1,nat(src=10.0.0.1-10.0.0.9:1-2,random)),add_mpls(label=1,tc=0,ttl=64,bos=1,eth_type=0x8847)",
];

const FRAMES = [
  buildFrame([ethernet(), ipv4({}), tcp({})], new Uint8Array(8)),
  buildFrame([ethernet(), vlan({ vid: 5 }), ipv6({}), udp({})], new Uint8Array(8)),
];

function readCapture(reader: CaptureReader, input: Uint8Array): void {
  // In two pieces, so that a header may be cut anywhere.
  const half = input.length >>> 1;
  for (const piece of [input.subarray(0, half), input.subarray(half)]) {
    reader.feed(piece);
    while (reader.next() !== undefined);
  }
  reader.finish();
}

const PCAP = Uint8Array.from(
  Buffer.from(
    "d4c3b2a1020004000000000000000000ffff0000010000000100000002000000040000000400000001020304",
    "hex",
  ),
);
const PCAPNG = Uint8Array.from(
  Buffer.from(
    "0a0d0d0a1c0000004d3c2b1a01000000ffffffffffffffff1c00000001000000140000000100000000000400140000000600000024000000000000000000000000000000040000000400000001020304240000 00".replace(
      " ",
      "",
    ),
    "hex",
  ),
);

function netlinkSeeds(): Uint8Array[] {
  const header = { flags: 5, sequence: 1, pid: 0 };
  return FAMILIES.map(({ id }) => {
    const attributes = Uint8Array.of(8, 0, 1, 0, 1, 0, 0, 0, 8, 0, 10, 0, 1, 0, 0, 0);
    return encodeMessage({ ...header, type: id }, Uint8Array.of(3, 1, 0, 0, 1, 0, 0, 0, ...attributes));
  });
}

/** Lengths first, so that two lists of attributes come out of one input. */
function split(input: Uint8Array): readonly [Uint8Array, Uint8Array] {
  const length = Math.min(input.length, 2 + ((input[0] ?? 0) | ((input[1] ?? 0) << 8)));
  return [input.slice(2, Math.max(2, length)), input.slice(Math.max(2, length))];
}

function joined(text: string): Uint8Array {
  const { key, mask } = attributesFromMatch(parseMatch(text));
  return Uint8Array.of(key.length, key.length >>> 8, ...key, ...mask);
}

export const TARGETS: readonly FuzzTarget[] = [
  {
    name: "odp-match",
    seeds: MATCHES.map(bytesOf),
    refusals: [OdpSyntaxError, FlowKeyError],
    run: (input) => void formatMatch(parseMatch(textOf(input))),
  },
  {
    name: "odp-actions",
    seeds: ACTIONS.map(bytesOf),
    refusals: [OdpSyntaxError],
    run: (input) => {
      const actions = parseActions(textOf(input));
      validateActions(actions, newKey(), newKey());
      printActions(actions);
    },
  },
  {
    name: "filter",
    seeds: ["in_port=1,ip,nw_src=10.0.0.0/8,tcp,tp_dst=80", "arp,arp_op=1", "ipv6,icmp6,icmp_type=135"].map(
      bytesOf,
    ),
    refusals: [FlowFilterError],
    run: (input) => void parseFilter(textOf(input)),
  },
  {
    name: "flow-file",
    seeds: MATCHES.slice(0, 2).map((match, index) =>
      bytesOf(`add ${match} ${ACTIONS[index]!}\n# x\ndelete ${match}\n`),
    ),
    refusals: [FlowFileError],
    run: (input) => void parseFlowFile(textOf(input), "fuzz", NO_PORTS, 1),
  },
  {
    name: "nlattr-match",
    seeds: MATCHES.map(joined),
    refusals: [FlowKeyError],
    run: (input) => void formatMatch(matchFromAttributes(...split(input), 2)),
  },
  {
    name: "nlattr-actions",
    seeds: ACTIONS.map((text) => parseActions(text)),
    refusals: [],
    run: (input) => {
      // Printing is for lists that were accepted, as in the daemon.
      if (validateActions(input, newKey(), newKey()) === undefined) printActions(input);
    },
  },
  {
    name: "netlink",
    seeds: netlinkSeeds(),
    refusals: [NetlinkError],
    run: (input) => {
      for (const message of new MessageFramer().push(input)) {
        genericHeader(message);
        const family = FAMILIES.find(({ id }) => id === message.type);
        if (family === undefined) continue;
        const table: AttributeTable = family.attributes;
        const start = family.hasOvsHeader ? 24 : 20;
        encodeAttributes(table, decodeAttributes(table, message.bytes, start, family.name).values);
      }
    },
  },
  {
    name: "pcap",
    seeds: [PCAP],
    refusals: [CaptureError],
    run: (input) => readCapture(new PcapReader("fuzz"), input),
  },
  {
    name: "pcapng",
    seeds: [PCAPNG],
    refusals: [CaptureError],
    run: (input) => readCapture(new PcapngReader("fuzz"), input),
  },
  {
    name: "unixctl",
    seeds: ['{"method":"version","params":[],"id":1}{"method":"x","params":["\\"{"],"id":2}'].map(bytesOf),
    refusals: [SyntaxError],
    run: (input) => {
      const text = textOf(input);
      const stream = new JsonStream();
      stream.push(text.slice(0, text.length >>> 1));
      stream.push(text.slice(text.length >>> 1));
    },
  },
  {
    name: "config",
    seeds: [
      "workers: { cpus: '1-3' }\nports:\n  - { name: a, type: dummy, vlan: { mode: access, tag: 5 } }\n",
    ].map(bytesOf),
    refusals: [ConfigError],
    run: (input) => void parseConfig(textOf(input), "fuzz"),
  },
  {
    name: "extract",
    seeds: FRAMES,
    refusals: [],
    run: (input) => {
      const key = new KeyExtractor(2).extract(input, 1);
      formatOdpKey(key);
      attributesFromPacketKey(key, 2);
    },
  },
];
