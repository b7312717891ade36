// dpctl/dump-dps, show, add-if, del-if: the datapath and its ports, as OVS prints them.
import { readTotals } from "../../datapath/counters.ts";
import { type PortCounterName, readPortCounters } from "../../port/counters.ts";
import { LOCAL_PORT_NO, type OpenPort, PORT_TYPES, type PortSpec, type PortType } from "../../port/port.ts";
import { type Command, UNLIMITED } from "../command.ts";
import { PortError } from "../ports.ts";
import { namesDatapath, type SwitchView } from "../switch-view.ts";
import { answer, type ErrnoName, refusal, splitOptions } from "./answer.ts";

/** Flows in the table, from whoever keeps it. */
export type FlowCount = () => number;

export function datapathCommands(view: SwitchView, flowCount: FlowCount): Command[] {
  return [
    {
      name: "dpctl/dump-dps",
      usage: "",
      summary: "names of the datapaths",
      argumentCountMin: 0,
      argumentCountMax: 0,
      run: () => answer([view.datapath], [view.datapath]),
    },
    {
      name: "dpctl/show",
      usage: "[-s] [dp...]",
      summary: "look-ups, flows and ports of the datapath",
      argumentCountMin: 0,
      argumentCountMax: UNLIMITED,
      run: (args) => {
        const { options, rest } = splitOptions(args, ["-s", "--statistics"]);
        const unknown = rest.filter((name) => !namesDatapath(view, name));
        if (unknown.length > 0) {
          const [first, ...more] = unknown.map((name) => `opening datapath ${name} failed`);
          throw refusal(
            [first!, ...more.map((line) => line)].join(
              " (Address family not supported by protocol)\novs-vswitchd: ",
            ),
            "EAFNOSUPPORT",
          );
        }
        return showDatapath(view, flowCount(), options.size > 0);
      },
    },
    {
      name: "dpctl/add-if",
      usage: "dp iface...",
      summary: "add ports: name[,type=T][,port_no=N][,n_rxq=N][,option=value]...",
      argumentCountMin: 2,
      argumentCountMax: UNLIMITED,
      run: async ([datapath, ...interfaces]) => {
        requireDatapath(view, datapath!);
        const added: OpenPort[] = [];
        for (const text of interfaces) added.push(await addInterface(view, text));
        return answer(
          "",
          added.map(({ spec, portNo }) => ({ name: spec.name, portNo })),
        );
      },
    },
    {
      name: "dpctl/del-if",
      usage: "dp iface...",
      summary: "remove ports by name or number",
      argumentCountMin: 2,
      argumentCountMax: UNLIMITED,
      run: async ([datapath, ...interfaces]) => {
        requireDatapath(view, datapath!);
        for (const name of interfaces) {
          const port = /^\d+$/.test(name) ? view.ports.byNumber(Number(name)) : view.ports.byName(name);
          if (port === undefined) throw refusal(`no port named ${name}`, null);
          if (port.portNo === LOCAL_PORT_NO) {
            const hint = "It is the datapath's own port; remove local-port from the configuration.";
            throw refusal(`deleting port ${name} from ${view.datapath} failed`, "EINVAL", hint);
          }
          await view.ports.remove(port.portNo);
        }
        return answer("", []);
      },
    },
  ];
}

function requireDatapath(view: SwitchView, name: string): void {
  if (!namesDatapath(view, name)) throw refusal("opening datapath", "ENODEV");
}

/** `name[,key=value]...` as ovs-dpctl add-if takes it. */
function parseInterface(text: string): PortSpec {
  const [name, ...settings] = text.split(",");
  const options: Record<string, unknown> = {};
  let type: PortType = "af_packet";
  let portNo: number | undefined;
  let rxqCount: number | undefined;
  for (const setting of settings) {
    const [key, value] = splitAt(setting, "=");
    if (key === "type") {
      const found = PORT_TYPES.find(
        (candidate) => candidate === value || (value === "system" && candidate === "af_packet"),
      );
      if (found === undefined)
        throw refusal(
          `${name}: unknown port type ${value}`,
          "EAFNOSUPPORT",
          `Known types: ${PORT_TYPES.join(", ")}.`,
        );
      type = found;
    } else if (key === "port_no") portNo = Number(value);
    else if (key === "n_rxq") rxqCount = Number(value);
    else
      options[key] =
        value === "true" ? true : value === "false" ? false : /^\d+$/.test(value) ? Number(value) : value;
  }
  return {
    name: name!,
    type,
    ...(portNo === undefined ? {} : { portNo }),
    ...(rxqCount === undefined ? {} : { rxqCount }),
    options,
  };
}

function splitAt(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

async function addInterface(view: SwitchView, text: string): Promise<OpenPort> {
  const spec = parseInterface(text);
  try {
    return await view.ports.add(spec);
  } catch (error) {
    const code = error instanceof PortError ? (error.code as ErrnoName) : null;
    throw refusal(`adding ${spec.name} to ${view.datapath} failed`, code, (error as Error).message);
  }
}

function showDatapath(view: SwitchView, flowCount: number, withStatistics: boolean) {
  const { counters, drops } = readTotals(view.arena);
  const lost = drops.upcall_lost + drops.upcall_share;
  const ports = view.ports.list().map((port) => ({
    port,
    counters: readPortCounters(view.arena, port.slot),
    status: view.ports.status(port),
  }));
  const lines = [
    `${view.datapath}:`,
    `  lookups: hit:${counters.lookup_hit} missed:${counters.lookup_miss} lost:${lost}`,
    `  flows: ${flowCount}`,
    ...ports.flatMap(({ port, counters: portCounters }) => [
      `  port ${port.portNo}: ${port.spec.name}${shownType(port)}`,
      ...(withStatistics ? statisticsLines(portCounters) : []),
    ]),
  ];
  return answer(lines, {
    datapath: view.datapath,
    lookups: { hit: counters.lookup_hit, missed: counters.lookup_miss, lost },
    flows: flowCount,
    ports: ports.map(({ port, counters: statistics, status }) => ({
      portNo: port.portNo,
      name: port.spec.name,
      type: port.spec.type,
      options: Object.fromEntries(port.shownOptions),
      ...status,
      statistics,
    })),
  });
}

function shownType(port: OpenPort): string {
  const options = port.shownOptions.map(([key, value]) => `${key}=${value}`).join(", ");
  return ` (${port.spec.type}${options === "" ? "" : `: ${options}`})`;
}

/** What a port does not count prints as `?`, as OVS prints an unknown counter. */
function statisticsLines(counters: Readonly<Record<PortCounterName, number>>): string[] {
  return [
    `    RX packets:${counters.rx_packets} errors:${counters.rx_errors} dropped:${counters.rx_dropped} overruns:${counters.rx_ring_full} frame:?`,
    `    TX packets:${counters.tx_packets} errors:${counters.tx_errors} dropped:${counters.tx_dropped} aborted:? carrier:?`,
    "    collisions:?",
    `    RX bytes:${counters.rx_bytes}${humanBytes(counters.rx_bytes)}  TX bytes:${counters.tx_bytes}${humanBytes(counters.tx_bytes)}`,
  ];
}

/** ` (5.8 KiB)` from 1,024 bytes up. */
function humanBytes(bytes: number): string {
  const units = ["KiB", "MiB", "GiB", "TiB"];
  const exponent = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), units.length);
  return exponent === 0 ? "" : ` (${(bytes / 1024 ** exponent).toFixed(1)} ${units[exponent - 1]})`;
}
