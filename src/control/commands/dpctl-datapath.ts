// dpctl/dump-dps, show, add-if, del-if: the datapath and its ports, as OVS prints them.
import * as v from "valibot";
import { readTotals } from "../../datapath/counters.ts";
import { type PortCounterName, readPortCounters } from "../../port/counters.ts";
import { LOCAL_PORT_NO, type OpenPort, PORT_TYPES, type PortSpec, type PortType } from "../../port/port.ts";
import { type Command, CommandError, UNLIMITED } from "../command.ts";
import { portSchema } from "../config/schema.ts";
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
        throwAll(unknown.map((name) => refusal(`opening datapath ${name} failed`, whyNotOurs(view, name))));
        return showDatapath(view, flowCount(), options.size > 0);
      },
    },
    {
      name: "dpctl/add-if",
      usage: "dp iface...",
      summary: "add ports: name[,type=T][,port_no=N][,n_rxq=N][,option=value]...",
      argumentCountMin: 2,
      argumentCountMax: UNLIMITED,
      run: async (args) => {
        const interfaces = portArguments(view, args);
        const added: { name: string; portNo: number }[] = [];
        await forEachPort(interfaces, async (text) => {
          const { spec, portNo } = await addInterface(view, text);
          added.push({ name: spec.name, portNo });
        });
        return answer("", added);
      },
    },
    {
      name: "dpctl/del-if",
      usage: "dp iface...",
      summary: "remove ports by name or number",
      argumentCountMin: 2,
      argumentCountMax: UNLIMITED,
      run: async (args) => {
        const removed: number[] = [];
        await forEachPort(portArguments(view, args), async (name) => {
          const portNo = /^\d+$/.test(name) ? Number(name) : view.ports.byName(name)?.portNo;
          if (portNo === undefined) throw refusal(`no port named ${name}`, null);
          if (view.ports.byNumber(portNo) === undefined)
            throw refusal(`deleting port ${name} from ${view.datapath} failed`, "ENODEV");
          if (portNo === LOCAL_PORT_NO) {
            const hint = "It is the datapath's own port; remove local-port from the configuration.";
            throw refusal(`deleting port ${name} from ${view.datapath} failed`, "EINVAL", hint);
          }
          await view.ports.remove(portNo);
          removed.push(portNo);
        });
        return answer("", removed);
      },
    },
  ];
}

/** OVS tells a type of datapath that it has not from a name that it has not; a name alone is of type `system`. */
export function whyNotOurs({ datapath }: SwitchView, name: string): ErrnoName {
  return name.includes("@") && name.split("@")[0] === datapath.split("@")[0] ? "ENODEV" : "EAFNOSUPPORT";
}

/** The arguments behind the options and the datapath. @throws CommandError when that is not ours */
export function portArguments(view: SwitchView, args: readonly string[]): string[] {
  const [datapath = "", ...names] = splitOptions(args, []).rest;
  if (!namesDatapath(view, datapath)) throw refusal("opening datapath", whyNotOurs(view, datapath));
  return names;
}

/** One bad port does not keep the others back, as in OVS; what was refused is told at the end. */
export async function forEachPort(
  names: readonly string[],
  act: (name: string) => Promise<void>,
): Promise<void> {
  const refusals: CommandError[] = [];
  for (const name of names) {
    try {
      await act(name);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      refusals.push(error);
    }
  }
  throwAll(refusals);
}

function throwAll(refusals: readonly CommandError[]): void {
  if (refusals.length > 0) throw new CommandError(refusals.map(({ message }) => message).join("\n"));
}

/** `name[,key=value]...` as ovs-dpctl add-if takes it. */
function parseInterface(text: string): PortSpec {
  const [name, ...settings] = text.split(",");
  const options: Record<string, unknown> = {};
  let type: PortType = "af_packet";
  let portNo: number | undefined;
  let rxqCount: number | undefined;
  for (const setting of settings) {
    const [key = "", value = ""] = setting.split(/=(.*)/s);
    if (key === "type") type = parseType(name!, value);
    else if (key === "port_no") portNo = parseNumber(name!, setting, value);
    else if (key === "n_rxq") rxqCount = parseNumber(name!, setting, value);
    else options[key] = parseOption(value);
  }
  const checked = v.safeParse(portSchema, { name, type, "port-no": portNo, "rx-queues": rxqCount });
  if (!checked.success) {
    const problems = checked.issues.map((issue) => `${name}: ${v.getDotPath(issue)}: ${issue.message}`);
    throw refusal(`${name}: failed to open network device`, "EINVAL", ...problems);
  }
  return {
    name: name!,
    type,
    ...(portNo === undefined ? {} : { portNo }),
    ...(rxqCount === undefined ? {} : { rxqCount }),
    options,
  };
}

function parseType(name: string, value: string): PortType {
  // `system` is OVS's word for an interface of the kernel.
  const found = PORT_TYPES.find((type) => type === (value === "system" ? "af_packet" : value));
  if (found !== undefined) return found;
  throw refusal(
    `${name}: failed to open network device`,
    "EAFNOSUPPORT",
    `${name}: there is no port type "${value}"; known are ${PORT_TYPES.join(", ")}`,
  );
}

function parseNumber(name: string, setting: string, value: string): number {
  if (/^\d{1,9}$/.test(value)) return Number(value);
  throw refusal(
    `${name}: failed to open network device`,
    "EINVAL",
    `${name}: ${setting}: a number is expected`,
  );
}

const parseOption = (value: string): string | number | boolean =>
  value === "true" ? true : value === "false" ? false : /^\d+$/.test(value) ? Number(value) : value;

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
