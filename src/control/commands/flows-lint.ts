// millrace/flows-lint: megaflows that overlap with different actions (flow-lint.ts).
import type { Clock } from "../../memory/clock.ts";
import type { Command, CommandResult } from "../command.ts";
import { flowJson, formatFlowLine, type PortLookup } from "../flow-entry.ts";
import { FlowLint } from "../flow-lint.ts";
import type { FlowService } from "../flow-service.ts";
import { answer } from "./answer.ts";

/** What anybody reads through; a flow that matches everything overlaps all others. */
const OVERLAPS_MAX = 1000;

export function lintCommand(
  flows: FlowService,
  ports: () => PortLookup,
  clock: Clock,
  vlanLimit: number,
): Command {
  return {
    name: "millrace/flows-lint",
    usage: "",
    summary: "pairs of megaflows that overlap with different actions",
    argumentCountMin: 0,
    argumentCountMax: 0,
    run: async () => {
      const lint = new FlowLint(OVERLAPS_MAX);
      for await (const flow of flows.all()) lint.add(flow);
      for (const _ of lint.walk()) await new Promise((resume) => setImmediate(resume));
      return tell(lint, ports(), clock.millis(), vlanLimit);
    },
  };
}

function tell(lint: FlowLint, ports: PortLookup, nowMillis: number, vlanLimit: number): CommandResult {
  const { overlaps, flowCount, maskCount, isCut } = lint;
  const style = { verbose: false, names: false };
  const count = `${isCut ? "at least " : ""}${overlaps.length}`;
  const lines = overlaps.flatMap(({ flows: [first, second] }) => [
    "overlap:",
    ...[first, second].map((flow) => `  ${formatFlowLine(flow, style, ports, nowMillis, vlanLimit)}`),
  ]);
  lines.push(`${flowCount} flows under ${maskCount} masks: ${count} pairs overlap with different actions`);
  return answer(lines, {
    flows: flowCount,
    masks: maskCount,
    isCut,
    overlaps: overlaps.map(({ flows: pair }) =>
      pair.map((flow) => flowJson(flow, ports, nowMillis, vlanLimit)),
    ),
  });
}
