// `millrace ports|flows|workers|drops|fdb show`: the daemon's pictures of itself.
import { Command } from "commander";
import { type DaemonOptions, printFromDaemon, withDaemonOptions } from "./daemon-client.ts";

/** Noun, unixctl command behind it, one line. */
const NOUNS: readonly (readonly [noun: string, method: string, summary: string])[] = [
  ["ports", "millrace/ports-show", "ports with state, queues and counters"],
  ["flows", "millrace/flows-show", "megaflows with counters; dpctl dump-flows prints them as OVS does"],
  ["workers", "millrace/workers-show", "workers with CPU, load, hits, upcalls"],
  ["drops", "millrace/drops-show", "drops by reason and the books"],
  ["fdb", "fdb/show", "the learned MAC table"],
  ["masks", "millrace/masks-show", "subtables with flows, hits and probes"],
];

export function showCommands(): Command[] {
  return NOUNS.map(([noun, method, summary]) => {
    const command = new Command(noun).description(summary);
    const show = withDaemonOptions(new Command("show").description(summary)).action(
      (options: DaemonOptions) => printFromDaemon(options, method, []),
    );
    command.addCommand(show, { isDefault: true });
    return noun === "flows" ? command.addCommand(lintCommand()) : command;
  });
}

function lintCommand(): Command {
  return withDaemonOptions(
    new Command("lint").description("pairs of megaflows that overlap with different actions"),
  ).action((options: DaemonOptions) => printFromDaemon(options, "millrace/flows-lint", []));
}
