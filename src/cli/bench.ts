// `millrace bench`: one worker's rate, frames from memory.
import { Command, InvalidArgumentError } from "commander";
import * as v from "valibot";
import { compileOptimized } from "../compile/v8-flags.ts";
import { configSchema, type EngineName } from "../control/config/schema.ts";
import { FlowFileError } from "../control/flow-file.ts";
import type { OfflineBond } from "../control/offline-bonds.ts";
import { CaptureError } from "../packet/capture.ts";
import { type BenchResult, bench } from "../perf/bench.ts";
import { PORT_NO_MAX } from "../port/port.ts";
import { BOND_HELP, BOND_OPTION, collectBond } from "./bond-option.ts";
import { engineOption } from "./engine-option.ts";
import { EXIT, ExitError } from "./exit-code.ts";
import { Progress, type ProgressOptions, withProgressOptions } from "./progress.ts";

interface BenchCommandOptions extends ProgressOptions {
  readonly rx: string;
  readonly flows?: string;
  readonly floor?: boolean;
  readonly bond: OfflineBond[];
  readonly tunnelPort?: number;
  readonly seconds: number;
  readonly engine: EngineName;
  readonly json?: boolean;
}

export function benchCommand(): Command {
  return withProgressOptions(new Command("bench"))
    .description(
      "rate of one worker with frames from memory, each copied into a fresh buffer; outputs are counted and freed",
    )
    .requiredOption("--rx <file>", "capture whose frames come in on port 1, again and again")
    .option("--flows <file>", "flows, as dump-flows prints them or FLOW ACTIONS")
    .option("--floor", "in place of flows: no look-up, every frame leaves by port 2")
    .option(BOND_OPTION, BOND_HELP, collectBond, [])
    .option("--tunnel-port <number>", "add a VXLAN port for tnl_push and tnl_pop to name", portNumber)
    .option("--seconds <n>", "how long to measure", positiveNumber, 3)
    .addOption(engineOption())
    .option("--json", "result as JSON")
    .action(run);
}

async function run({
  rx,
  flows,
  floor,
  bond: bonds,
  tunnelPort: tunnelPortNo,
  seconds,
  engine,
  json,
  ...options
}: BenchCommandOptions): Promise<void> {
  if ((flows === undefined) === (floor === undefined))
    throw new ExitError(EXIT.usage, "bench: one of --flows and --floor is expected");
  compileOptimized();
  const { policy } = v.parse(configSchema, { policy: { type: "flows" } });
  const progress = new Progress(options);
  try {
    const result = await bench({
      rx,
      flowFile: floor ? null : flows!,
      seconds,
      policy,
      bonds,
      engine,
      tunnelPortNo,
      onProgress: progress.show,
    });
    progress.end();
    process.stdout.write(json ? `${JSON.stringify(result, null, 2)}\n` : formatResult(result));
  } catch (error) {
    progress.end();
    const isBadData = error instanceof FlowFileError || error instanceof CaptureError;
    throw new ExitError(isBadData ? EXIT.badData : EXIT.failed, (error as Error).message);
  }
}

function formatResult({
  packets,
  seconds,
  mpps,
  nsPerPacket,
  frames,
  flows,
  masksPerPacket,
  outputsChecked,
}: BenchResult): string {
  return (
    `${nsPerPacket.toFixed(1)} ns a packet, ${mpps.toFixed(2)} Mpps\n` +
    `  ${packets} packets in ${seconds.toFixed(2)} s, ${frames} different frames, ${flows} flows, ` +
    `${masksPerPacket.toFixed(2)} subtables a hit, ${outputsChecked} outputs checked\n`
  );
}

function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError("a number above 0 is expected");
  return value;
}

function portNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > PORT_NO_MAX)
    throw new InvalidArgumentError(`a port number from 1 to ${PORT_NO_MAX} is expected`);
  return value;
}
