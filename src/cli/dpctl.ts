// `millrace dpctl CMD ...`: the daemon's dpctl/CMD with the same arguments, as ovs-dpctl takes them. Options that are not
// ours go to the daemon; ours may stand anywhere.
import { Command } from "commander";
import { type DaemonOptions, printFromDaemon, withDaemonOptions } from "./daemon-client.ts";

export function dpctlCommand(): Command {
  return withDaemonOptions(new Command("dpctl"))
    .description("datapath commands as ovs-dpctl's: show, dump-flows, add-flow, del-flow, add-if ...")
    .argument("<command>", "as ovs-dpctl names it")
    .argument("[arguments...]", "the command's own")
    .allowUnknownOption()
    .action((command: string, args: string[], options: DaemonOptions) =>
      printFromDaemon(options, `dpctl/${command}`, args),
    );
}

export function appctlCommand(): Command {
  return withDaemonOptions(new Command("appctl"))
    .description("any command of the control socket, as ovs-appctl -t SOCKET runs it")
    .argument("<command>", "see list-commands")
    .argument("[arguments...]")
    .allowUnknownOption()
    .action((command: string, args: string[], options: DaemonOptions) =>
      printFromDaemon(options, command, args),
    );
}
