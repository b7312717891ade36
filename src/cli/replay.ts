// `millrace replay`: captures through the switch, offline and deterministic.
import { Command, InvalidArgumentError, Option } from "commander";
import * as v from "valibot";
import { formatBooks } from "../control/books.ts";
import { configSchema, type EngineName } from "../control/config/schema.ts";
import { flowJson, formatFlowLine } from "../control/flow-entry.ts";
import { FlowFileError } from "../control/flow-file.ts";
import type { OfflineBond } from "../control/offline-bonds.ts";
import { type PortFile, type ReplayResult, replay } from "../control/replay.ts";
import { CaptureError } from "../packet/capture.ts";
import { PORT_NO_MAX } from "../port/port.ts";
import { BOND_HELP, BOND_OPTION, collectBond } from "./bond-option.ts";
import { engineOption } from "./engine-option.ts";
import { EXIT, ExitError } from "./exit-code.ts";
import { Progress, type ProgressOptions, withProgressOptions } from "./progress.ts";

interface ReplayCommandOptions extends ProgressOptions {
  readonly in: PortFile[];
  readonly out: PortFile[];
  readonly bond: OfflineBond[];
  readonly flows?: string;
  readonly policy?: "learn" | "flows";
  readonly vlanLimit: number;
  readonly seed: number;
  readonly engine: EngineName;
  readonly json?: boolean;
}

const NAMES = { numbers: new Map<string, number>(), names: new Map<number, string>() };
const STYLE = { verbose: false, names: false };

export function replayCommand(): Command {
  return withProgressOptions(new Command("replay"))
    .description("captures through the switch, by time stamp; without root, without a daemon")
    .requiredOption(
      "--in <port=file>",
      "a capture that comes in on a port; any number of times",
      collectPortFile,
      [],
    )
    .option("--out <port=file>", "where a port's output goes; any number of times", collectPortFile, [])
    .option(BOND_OPTION, BOND_HELP, collectBond, [])
    .option("--flows <file>", "flows to install first, as dump-flows prints them or FLOW ACTIONS")
    .addOption(
      new Option("--policy <policy>", "what becomes of misses; flows when --flows is given").choices([
        "learn",
        "flows",
      ]),
    )
    .option("--vlan-limit <n>", "tags that extraction reads", wholeNumber(2), 1)
    .option("--seed <n>", "seed of hashes", wholeNumber(0xffffffff), 0)
    .addOption(engineOption())
    .option("--json", "books, ports and flows as JSON")
    .action(run);
}

async function run(options: ReplayCommandOptions): Promise<void> {
  if (options.in.length === 0)
    throw new ExitError(EXIT.usage, "replay: at least one --in PORT=FILE is needed");
  const type = options.policy ?? (options.flows === undefined ? "learn" : "flows");
  const { policy } = v.parse(configSchema, { policy: { type } });
  const progress = new Progress(options);
  try {
    const { in: inputs, out: outputs, bond: bonds, flows: flowFile, vlanLimit, seed, engine } = options;
    const onProgress = progress.show;
    const result = await replay({
      inputs,
      outputs,
      bonds,
      flowFile,
      policy,
      vlanLimit,
      seed,
      engine,
      onProgress,
    });
    progress.end();
    print(result, options);
  } catch (error) {
    progress.end();
    if (error instanceof FlowFileError || error instanceof CaptureError)
      throw new ExitError(EXIT.badData, error.message);
    throw new ExitError(EXIT.failed, (error as Error).message);
  }
}

function print(
  { packets, books, ports, flows, endMillis }: ReplayResult,
  { json, vlanLimit }: ReplayCommandOptions,
): void {
  if (json) {
    const document = {
      packets,
      ...books,
      ports,
      flows: flows.map((flow) => flowJson(flow, NAMES, endMillis, vlanLimit)),
    };
    process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
    return;
  }
  const portLines = ports.map(
    ({ portNo, counters }) => `  port ${portNo}: rx ${counters.rx_packets} tx ${counters.tx_packets}`,
  );
  const flowLines = flows.map((flow) => `  ${formatFlowLine(flow, STYLE, NAMES, endMillis, vlanLimit)}`);
  process.stdout.write(
    [
      `packets: ${packets}`,
      "books:",
      formatBooks(books),
      "ports:",
      ...portLines,
      `flows: ${flows.length}`,
      ...flowLines,
      "",
    ].join("\n"),
  );
}

function collectPortFile(text: string, before: PortFile[]): PortFile[] {
  const match = /^(\d{1,5})=(.+)$/.exec(text);
  const portNo = Number(match?.[1]);
  if (match === null || portNo > PORT_NO_MAX)
    throw new InvalidArgumentError(`PORT=FILE is expected, PORT a number up to ${PORT_NO_MAX}`);
  return [...before, [portNo, match[2]!]];
}

function wholeNumber(most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value > most)
      throw new InvalidArgumentError(`a whole number up to ${most} is expected`);
    return value;
  };
}
