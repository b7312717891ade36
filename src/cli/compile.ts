// `millrace compile`: what a flow file compiles to.
import { writeFileSync } from "node:fs";
import { Command, InvalidArgumentError } from "commander";
import * as v from "valibot";
import { moduleText } from "../compile/text/module-text.ts";
import { compileOptimized } from "../compile/v8-flags.ts";
import { type CompileReport, compileFlowFile } from "../control/compile-report.ts";
import { configSchema } from "../control/config/schema.ts";
import { FlowFileError } from "../control/flow-file.ts";
import { EXIT, ExitError } from "./exit-code.ts";

interface CompileCommandOptions {
  readonly flows: string;
  readonly vlanLimit: number;
  readonly wat?: boolean;
  readonly out?: string;
  readonly json?: boolean;
}

export function compileCommand(): Command {
  return new Command("compile")
    .description("what flows compile to: masks with a probe of their own, shapes of actions, WebAssembly")
    .requiredOption("--flows <file>", "flows, as dump-flows prints them or FLOW ACTIONS")
    .option("--vlan-limit <n>", "tags that extraction reads", vlanLimit, 1)
    .option("--wat", "the program as text instead")
    .option("--out <file>", "where the program goes, as bytes")
    .option("--json", "the report as JSON")
    .action(run);
}

async function run({ flows, vlanLimit, wat, out, json }: CompileCommandOptions): Promise<void> {
  compileOptimized();
  const { policy } = v.parse(configSchema, { policy: { type: "flows" } });
  try {
    const { report, module } = await compileFlowFile(flows, policy, vlanLimit);
    if (out !== undefined) writeFileSync(out, module);
    if (wat) process.stdout.write(moduleText(module));
    else process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : formatReport(report));
  } catch (error) {
    throw new ExitError(
      error instanceof FlowFileError ? EXIT.badData : EXIT.failed,
      (error as Error).message,
    );
  }
}

function formatReport(report: CompileReport): string {
  const { flowCount, masks, shapes, moduleBytes, encodeMillis, compileMillis } = report;
  return [
    `flows: ${flowCount}`,
    `masks: ${masks.length}`,
    ...masks.map((mask) => `  ${mask.number}: lookup_${mask.name}, ${mask.flowCount} flows`),
    `action shapes: ${shapes.length}`,
    ...shapes.map(({ number, actions }) => `  ${number}: ${actions}`),
    `program: ${moduleBytes} bytes, encoded in ${encodeMillis.toFixed(1)} ms, compiled in ${compileMillis.toFixed(1)} ms`,
    "",
  ].join("\n");
}

function vlanLimit(text: string): number {
  if (!/^[012]$/.test(text)) throw new InvalidArgumentError("0, 1 or 2 is expected");
  return Number(text);
}
