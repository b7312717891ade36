// `millrace odp`: lines of keys and actions in, the same lines parsed and printed out, as OVS's `ovstest test-odp`
// does. Comments and empty lines pass through.
import { text } from "node:stream/consumers";
import { Command } from "commander";
import { parseActionsLine } from "../action/odp/parse-line.ts";
import { type FlowFilter, FlowFilterError, parseFilter } from "../flow/filter.ts";
import { filterLine, parseKeysLine, parseWildcardedKeysLine } from "../flow/odp/parse-line.ts";
import { EXIT, ExitError } from "./exit-code.ts";

/** The line that answers one; undefined for a line that is left out. */
type LineAnswer = (line: string) => string | undefined;

const FILTER_PREFIX = "filter=";

export function odpCommand(): Command {
  const command = new Command("odp").description(
    "parse and print datapath flows and actions, a line each, offline",
  );
  const add = (name: string, description: string, answer: LineAnswer): void => {
    command
      .command(name)
      .description(description)
      .action(() => answerLines(answer));
  };
  add("parse-keys", "keys without masks, as a flow has them", parseKeysLine);
  add("parse-wc-keys", "keys with masks, as attributes", parseWildcardedKeysLine);
  add("parse-actions", "action lists", parseActionsLine);
  command
    .command("parse-filter")
    .description("the keys that a dump-flows filter lets pass")
    .argument("<filter>", "such as filter=tcp,tp_src=80")
    .action(async (argument: string) => {
      const filter = readFilter(argument);
      await answerLines((line) => filterLine(line, filter));
    });
  return command;
}

/** @throws ExitError */
function readFilter(argument: string): FlowFilter {
  const match = argument.startsWith(FILTER_PREFIX) ? argument.slice(FILTER_PREFIX.length) : argument;
  try {
    return parseFilter(match);
  } catch (error) {
    if (!(error instanceof FlowFilterError)) throw error;
    throw new ExitError(EXIT.badData, `Failed to parse filter (${error.message})`);
  }
}

async function answerLines(answer: LineAnswer): Promise<void> {
  const lines = (await text(process.stdin)).split("\n");
  if (lines.at(-1) === "") lines.pop();
  const answers = lines.map((line) => (isComment(line) ? line : answer(line)));
  const printed = answers.filter((line) => line !== undefined);
  if (printed.length > 0) process.stdout.write(`${printed.join("\n")}\n`);
}

const isComment = (line: string): boolean => /^\s*(#|$)/.test(line);
