// ovs/route/*, tnl/neigh/* (and its older name tnl/arp/*), tnl/ports/show, tnl/egress_port_range: texts as OVS's.
import type { Clock } from "../../memory/clock.ts";
import { formatMac, parseMac } from "../../packet/address.ts";
import { formatIp, IP_BITS, isIpv4, NO_IP, type Prefix, parseIp, parsePrefix } from "../../tunnel/ip.ts";
import { AGING_SECONDS_MAX, type Neighbour } from "../../tunnel/neighbours.ts";
import { formatRoute } from "../../tunnel/routes.ts";
import { type Command, CommandError } from "../command.ts";
import type { Tunnels } from "../tunnels.ts";
import { answer } from "./answer.ts";
import { formatListenerFlows } from "./listener-flows.ts";

const ADDRESS_COLUMN = 46;
const NEIGHBOUR_TITLE = [
  "IP                                            MAC                 Bridge",
  "==========================================================================",
];
const U16_MAX = 0xffff;

export function tunnelCommands(tunnels: Tunnels, clock: Clock): Command[] {
  return [
    ...routeCommands(tunnels),
    ...["tnl/neigh", "tnl/arp"].flatMap((prefix) => neighbourCommands(tunnels, clock, prefix)),
    {
      name: "tnl/ports/show",
      usage: "-v",
      summary: "ports of tunnels that take packets; -v: which packets",
      argumentCountMin: 0,
      argumentCountMax: 1,
      run: ([option]) => {
        const { listeners, endpoints } = tunnels.state();
        const lines =
          option === "-v"
            ? formatListenerFlows(listeners, endpoints)
            : listeners.map(({ name, portNo }) => `${name} (${portNo}) ref_cnt=1`);
        return answer(["Listening ports:", ...lines], listeners);
      },
    },
    {
      name: "tnl/egress_port_range",
      usage: "min max",
      summary: "UDP source ports of tunnels",
      argumentCountMin: 0,
      argumentCountMax: 2,
      run: (args) => egressPortRange(tunnels, args),
    },
  ];
}

function routeCommands(tunnels: Tunnels): Command[] {
  return [
    {
      name: "ovs/route/add",
      usage: "ip_addr/prefix_len out_br_name [gw] [pkt_mark=mark]",
      summary: "add a route for tunnels",
      argumentCountMin: 2,
      argumentCountMax: 4,
      run: (args) => addRoute(tunnels, args),
    },
    {
      name: "ovs/route/show",
      usage: "",
      summary: "the route table of tunnels",
      argumentCountMin: 0,
      argumentCountMax: 0,
      run: () => {
        const routes = [...tunnels.routes.list()];
        const rows = routes.map(({ prefix, portName, origin, mark, gateway, source }) => ({
          prefix: formatIp(prefix.ip),
          bits: isIpv4(prefix.ip) ? prefix.bits - 96 : prefix.bits,
          dev: portName,
          origin,
          mark,
          gateway: gateway === NO_IP ? null : formatIp(gateway),
          source: formatIp(source),
        }));
        return answer(["Route Table:", ...routes.map(formatRoute)], rows);
      },
    },
    {
      name: "ovs/route/del",
      usage: "ip_addr/prefix_len [pkt_mark=mark]",
      summary: "delete a route that was added",
      argumentCountMin: 1,
      argumentCountMax: 2,
      run: ([text, mark]) => {
        const prefix = parsePrefix(text!);
        if (prefix === undefined) throw new CommandError("Invalid parameters");
        if (!tunnels.routes.remove(prefix, readMark(mark), "user")) throw new CommandError("Not found");
        tunnels.changed();
        return answer("OK", {});
      },
    },
    {
      name: "ovs/route/lookup",
      usage: "ip_addr [pkt_mark=mark]",
      summary: "the route to an address",
      argumentCountMin: 1,
      argumentCountMax: 2,
      run: ([text, mark]) => {
        const prefix = parsePrefix(text!);
        if (prefix === undefined || prefix.bits !== IP_BITS) throw new CommandError("Invalid parameters");
        const hop = tunnels.routes.lookup(prefix.ip, readMark(mark));
        if (hop === undefined) throw new CommandError("Not found");
        const row = { src: formatIp(hop.source), gateway: formatIp(hop.gateway), dev: hop.portName };
        return answer([`src ${row.src}`, `gateway ${row.gateway}`, `dev ${row.dev}`], row);
      },
    },
  ];
}

function readMark(text: string | undefined): number {
  if (text === undefined) return 0;
  const value = /^pkt_mark=(0[xX][0-9a-fA-F]+|-?\d+)/.exec(text)?.[1];
  if (value === undefined) throw new CommandError("Invalid pkt_mark");
  return Number(value) >>> 0;
}

function addRoute(tunnels: Tunnels, [text, portName, third, fourth]: readonly string[]) {
  const prefix = parsePrefix(text!);
  if (prefix === undefined) throw new CommandError("Invalid parameters");
  const gateway = third === undefined ? NO_IP : gatewayOf(third, prefix);
  const mark = gateway === undefined ? readMark(third) : readMark(fourth);
  const route = { prefix, origin: "user", mark, gateway: gateway ?? NO_IP } as const;
  if (!tunnels.routes.add(route, tunnels.endpoint(portName!))) {
    throw new CommandError("Error while inserting route.");
  }
  tunnels.changed();
  return answer("OK", {});
}

/** Undefined when the argument is a mark. */
function gatewayOf(text: string, prefix: Prefix): bigint | undefined {
  if (/^pkt_mark=(0[xX][0-9a-fA-F]+|-?\d+)/.test(text)) return undefined;
  const gateway = parseIp(text);
  if (gateway === undefined || isIpv4(gateway) !== isIpv4(prefix.ip)) {
    throw new CommandError(
      isIpv4(prefix.ip) ? "Invalid pkt_mark or gateway" : "Invalid pkt_mark or IPv6 gateway",
    );
  }
  return gateway;
}

function neighbourCommands(tunnels: Tunnels, clock: Clock, prefix: string): Command[] {
  const { neighbours } = tunnels;
  return [
    {
      name: `${prefix}/show`,
      usage: "",
      summary: "addresses of tunnels' next hops",
      argumentCountMin: 0,
      argumentCountMax: 0,
      run: () => {
        const rowOf = (origin: string) => (neighbour: Neighbour) => ({
          ip: formatIp(neighbour.ip),
          mac: formatMac(neighbour.mac),
          bridge: neighbour.portName,
          origin,
        });
        const rows = neighbours.list().map(rowOf("switch"));
        const lines = rows.map(({ ip, mac, bridge }) => `${ip.padEnd(ADDRESS_COLUMN)}${mac}   ${bridge}`);
        // The text is OVS's, which knows none of the kernel's.
        return answer(
          [...NEIGHBOUR_TITLE, ...lines],
          [...rows, ...tunnels.kernelNeighbours.map(rowOf("kernel"))],
        );
      },
    },
    {
      name: `${prefix}/set`,
      usage: "BRIDGE IP MAC",
      summary: "set the address of a next hop",
      argumentCountMin: 3,
      argumentCountMax: 3,
      run: ([portName, ipText, macText]) => {
        const ip = parseIp(ipText!);
        if (ip === undefined) throw new CommandError("bad IP address");
        const mac = parseMac(macText!);
        if (mac === undefined) throw new CommandError("bad MAC address");
        tunnels.learn({ portName: portName!, ip, mac });
        return answer("OK", {});
      },
    },
    {
      name: `${prefix}/flush`,
      usage: "",
      summary: "forget all next hops' addresses",
      argumentCountMin: 0,
      argumentCountMax: 0,
      run: () => {
        if (neighbours.flush()) tunnels.changed();
        return answer("OK", {});
      },
    },
    {
      name: `${prefix}/aging`,
      usage: "[SECS]",
      summary: "how long a next hop's address is kept",
      argumentCountMin: 0,
      argumentCountMax: 1,
      run: ([text]) => {
        const { agingSeconds } = neighbours;
        if (text === undefined) return answer(String(agingSeconds), { agingSeconds });
        const seconds = Number(/^\d+/.exec(text)?.[0] ?? 0);
        if (seconds < 1 || seconds > AGING_SECONDS_MAX) throw new CommandError("bad aging value");
        neighbours.setAging(seconds, clock.millis());
        return answer("OK", {});
      },
    },
  ];
}

/** Wrong numbers are told in an answer that is no error, as in OVS; one number alone changes nothing. */
function egressPortRange(tunnels: Tunnels, [first, second]: readonly string[]) {
  if (first === undefined || second === undefined) {
    const [min, max] = tunnels.egressPorts;
    return answer(`Tunnel UDP source port range: ${min}-${max}`, { min, max });
  }
  const ports = [first, second].map((text) => Number(/^\s*[+-]?\d+/.exec(text)?.[0] ?? 0));
  for (const [index, name] of ["min", "max"].entries()) {
    if (ports[index]! <= 0 || ports[index]! > U16_MAX) return answer(`Invalid ${name}.`, {});
  }
  tunnels.egressPorts = [Math.min(...ports), Math.max(...ports)];
  tunnels.changed();
  return answer("OK", {});
}
