// millrace/flows-lint: megaflows that overlap with different actions (flow-lint.ts).
import type { Clock } from "../../memory/clock.ts";
import type { Command, CommandResult } from "../command.ts";
import { flowJson, formatFlowLine, type PortLookup } from "../flow-entry.ts";
import { FlowLint, type Overlap } from "../flow-lint.ts";
import type { FlowService } from "../flow-service.ts";
import { answer } from "./answer.ts";

/** What anybody reads through; a flow that matches everything overlaps all others. */
const OVERLAPS_MAX = 1000;
/** Pairs that are put into words at once: some 0.2 ms each. */
export const OVERLAPS_PER_SLICE = 8;

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
      for (const _ of lint.walk()) await otherWork();
      const told: ToldOverlap[] = [];
      for (const slice of tellOverlaps(lint.overlaps, ports(), clock.millis(), vlanLimit)) {
        told.push(...slice);
        await otherWork();
      }
      return summary(lint, told);
    },
  };
}

const otherWork = (): Promise<void> => new Promise((resume) => setImmediate(resume));

interface ToldOverlap {
  readonly lines: readonly string[];
  readonly flows: readonly unknown[];
}

/** Pairs as text and as data, a slice at a time. */
export function* tellOverlaps(
  overlaps: readonly Overlap[],
  ports: PortLookup,
  nowMillis: number,
  vlanLimit: number,
): Generator<ToldOverlap[]> {
  const style = { verbose: false, names: false };
  for (let from = 0; from < overlaps.length; from += OVERLAPS_PER_SLICE) {
    yield overlaps.slice(from, from + OVERLAPS_PER_SLICE).map(({ flows }) => ({
      lines: [
        "overlap:",
        ...flows.map((flow) => `  ${formatFlowLine(flow, style, ports, nowMillis, vlanLimit)}`),
      ],
      flows: flows.map((flow) => flowJson(flow, ports, nowMillis, vlanLimit)),
    }));
  }
}

function summary(lint: FlowLint, told: readonly ToldOverlap[]): CommandResult {
  const { overlaps, flowCount, maskCount, isCut } = lint;
  const count = `${isCut ? "at least " : ""}${overlaps.length}`;
  const lines = told.flatMap((overlap) => overlap.lines);
  lines.push(`${flowCount} flows under ${maskCount} masks: ${count} pairs overlap with different actions`);
  return answer(lines, {
    flows: flowCount,
    masks: maskCount,
    isCut,
    overlaps: told.map(({ flows }) => flows),
  });
}
