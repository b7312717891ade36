// dpctl/add-dp, del-dp, set-if, cache-get-size, cache-set-size, offload-stats-show, parse-actions, list-commands: what
// OVS's dpctl has beside ports and flows. A daemon is one datapath without caches of its own and without offload, so
// most of these say no, in OVS's words.
import { parseActions } from "../../action/odp/parse-actions.ts";
import { printActions } from "../../action/odp/print-actions.ts";
import { OdpSyntaxError } from "../../flow/odp/text-cursor.ts";
import type { OpenPort } from "../../port/port.ts";
import { type Command, type CommandRegistry, type CommandResult, UNLIMITED } from "../command.ts";
import type { PortLookup } from "../flow-entry.ts";
import { PortError } from "../ports.ts";
import { namesDatapath, type SwitchView } from "../switch-view.ts";
import { answer, refusal } from "./answer.ts";
import { forEachPort, portArguments, whyNotOurs } from "./dpctl-datapath.ts";

const ONE_DATAPATH = "A daemon is one datapath; run another one for another.";
/** Columns of OVS's list: the name's place, and what stands before the arguments. */
const NAME_COLUMNS = 29;

export function settingsCommands(
  view: SwitchView,
  ports: () => PortLookup,
  registry: CommandRegistry,
): Command[] {
  const command = (
    name: string,
    usage: string,
    summary: string,
    [argumentCountMin, argumentCountMax]: readonly [number, number],
    run: Command["run"],
  ): Command => ({ name: `dpctl/${name}`, usage, summary, argumentCountMin, argumentCountMax, run });
  return [
    command("add-dp", "dp [iface...]", "refused: a daemon is one datapath", [1, UNLIMITED], ([name = ""]) => {
      if (namesDatapath(view, name)) throw refusal("add_dp", "EEXIST");
      throw refusal(
        "add_dp",
        whyNotOurs(view, name) === "ENODEV" ? "EOPNOTSUPP" : "EAFNOSUPPORT",
        ONE_DATAPATH,
      );
    }),
    command("del-dp", "dp", "refused: a daemon is one datapath", [1, 1], ([name = ""]) => {
      if (!namesDatapath(view, name)) throw refusal("opening datapath", whyNotOurs(view, name));
      throw refusal("del_dp", "EOPNOTSUPP", `${ONE_DATAPATH} exit ends this one.`);
    }),
    command(
      "set-if",
      "dp iface...",
      "change ports' options: name[,type=T][,port_no=N][,option=value]...",
      [2, UNLIMITED],
      (args) => setInterfaces(view, args),
    ),
    command("cache-get-size", "[dp]", "sizes of caches: there are none", [0, 1], ([name]) => {
      requireOpen(view, name);
      return answer([`${view.datapath}:`], { datapath: view.datapath, caches: [] });
    }),
    command(
      "cache-set-size",
      "dp cache <size>",
      "refused: there are no caches",
      [3, 3],
      ([name, , size = ""]) => {
        if (!/^\d+$/.test(size)) throw refusal("size is malformed", "EINVAL");
        requireOpen(view, name);
        throw refusal("Setting caches not supported", "EOPNOTSUPP");
      },
    ),
    command("offload-stats-show", "[dp]", "refused: nothing is offloaded", [0, 1], ([name]) => {
      if (name !== undefined && !namesDatapath(view, name)) throw refusal("datapath not found", "EINVAL");
      throw refusal("retrieving offload statistics", "EINVAL", "There is no hardware offload.");
    }),
    command("parse-actions", "actions", "actions as they are printed", [1, 1], ([text = ""]) =>
      normalizedActions(text, ports().numbers),
    ),
    command("list-commands", "", "dpctl's commands with their arguments", [0, 0], () =>
      listCommands(registry),
    ),
  ];
}

function requireOpen(view: SwitchView, name: string | undefined): void {
  if (name === undefined || namesDatapath(view, name)) return;
  throw refusal(`Opening datapath ${name} failed`, whyNotOurs(view, name));
}

/** Type and number may be said and must be what they are; tunnels take other options while they are open. */
async function setInterfaces(view: SwitchView, args: readonly string[]): Promise<CommandResult> {
  const names = portArguments(view, args);
  await forEachPort(names, async (text) => {
    const [name = "", ...settings] = text.split(",");
    const port = view.ports.byName(name);
    if (port === undefined) throw refusal(`${name}: failed to query port in ${view.datapath}`, "ENODEV");
    const given = new Map(settings.map((setting) => setting.split(/=(.*)/s) as [string, string]));
    const { type } = port.spec;
    const wanted = given.get("type");
    if (wanted !== undefined && wanted !== type && !(wanted === "system" && type === "af_packet"))
      throw refusal(`${name}: can't change type from ${type} to ${wanted}`, null);
    const portNo = given.get("port_no");
    if (portNo !== undefined && Number(portNo) !== port.portNo)
      throw refusal(`${name}: can't change port number from ${port.portNo} to ${portNo}`, null);
    const shown = new Map(port.shownOptions);
    const changed = [...given].filter(
      ([key, value]) => key !== "type" && key !== "port_no" && shown.get(key) !== value,
    );
    if (changed.length > 0) await setOptions(view, port, changed);
  });
  return answer("", []);
}

/** An empty value takes an option back. */
async function setOptions(
  { ports }: SwitchView,
  port: OpenPort,
  changed: readonly (readonly [name: string, value: string])[],
): Promise<void> {
  const options = new Map<string, unknown>(Object.entries(port.spec.options ?? {}));
  for (const [option, value] of changed) {
    if (value === "") options.delete(option);
    else options.set(option, value);
  }
  const { name } = port.spec;
  try {
    await ports.setOptions(port, Object.fromEntries(options));
  } catch (error) {
    if (!(error instanceof PortError))
      throw refusal(`${name}: failed to change configuration`, "EINVAL", (error as Error).message);
    const list = changed.map(([option]) => option).join(", ");
    const hint = "Remove the port and add it with the options wanted.";
    throw refusal(`${name}: can't change ${list} while the port is open`, "EOPNOTSUPP", hint);
  }
}

function normalizedActions(text: string, numbers: PortLookup["numbers"]): CommandResult {
  try {
    const printed = printActions(parseActions(text, numbers));
    return answer([printed], { actions: printed });
  } catch (error) {
    if (!(error instanceof OdpSyntaxError)) throw error;
    throw refusal("odp_actions_from_string", "EINVAL", `column ${error.column}: ${error.message}`);
  }
}

function listCommands(registry: CommandRegistry): CommandResult {
  const commands = registry.list().filter(({ name }) => name.startsWith("dpctl/"));
  const lines = commands.map(({ name, usage }) => `  ${name.padEnd(NAME_COLUMNS)} ${usage}`);
  return answer(
    ["The available commands are:", ...lines],
    commands.map(({ name, usage, summary }) => ({ name, usage, summary })),
  );
}
