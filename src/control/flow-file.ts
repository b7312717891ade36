// Flow files: lines `[add|modify|delete] FLOW ACTIONS`, and the lines that dump-flows prints. Blank lines, comments
// (#) and the headings of a dump are passed over.
import { newKey } from "../flow/key.ts";
import { parseUfid } from "../flow/ufid.ts";
import {
  type FlowEntry,
  FlowTextError,
  type PortLookup,
  parseFlowEntry,
  parseFlowKey,
} from "./flow-entry.ts";

export type FlowOperation = "add" | "modify" | "delete";

export interface FlowFileEntry {
  readonly operation: FlowOperation;
  readonly file: string;
  readonly line: number;
  readonly entry: FlowEntry;
}

/** A bad line: file, line, column, and what was expected. */
export class FlowFileError extends Error {
  readonly line: number;
  readonly column: number;

  constructor(file: string, line: number, column: number, message: string) {
    super(`${file}:${line}:${column}: ${message}`);
    this.name = "FlowFileError";
    this.line = line;
    this.column = column;
  }
}

const NO_ACTIONS = new Uint8Array(0);
const NO_KEY = { key: newKey(), mask: newKey() };

/** @throws FlowFileError at the first bad line */
export const parseFlowFile = (
  text: string,
  file: string,
  ports: PortLookup,
  vlanLimit: number,
  fallback: FlowOperation = "add",
): FlowFileEntry[] => parseFlowLines(text.split("\n"), 1, file, ports, vlanLimit, fallback);

/**
 * Lines of a file of which the first is number `firstLine`.
 * @throws FlowFileError at the first bad line
 */
export function parseFlowLines(
  lines: readonly string[],
  firstLine: number,
  file: string,
  ports: PortLookup,
  vlanLimit: number,
  fallback: FlowOperation,
): FlowFileEntry[] {
  const entries: FlowFileEntry[] = [];
  for (const [index, line] of lines.entries()) {
    const content = line.replace(/\r$/, "");
    if (/^\s*(#|$)/.test(content) || /^flow-dump from /.test(content)) continue;
    entries.push(parseLine(content, file, firstLine + index, ports, vlanLimit, fallback));
  }
  return entries;
}

/** Where the parts of a line stand: text and column (from 0). */
interface Part {
  readonly text: string;
  readonly column: number;
}

function parseLine(
  content: string,
  file: string,
  line: number,
  ports: PortLookup,
  vlanLimit: number,
  fallback: FlowOperation,
): FlowFileEntry {
  const prefix = /^\s*(?:(add|modify|delete)\s+)?/.exec(content)!;
  const operation = (prefix[1] as FlowOperation | undefined) ?? fallback;
  const { flow, actions } = splitParts(content, prefix[0].length);
  try {
    if (operation === "delete") {
      const ufid = parseUfid(flow.text.trim());
      // A ufid alone names the flow; there is no key to read then.
      const named = ufid === undefined ? parseFlowKey(flow.text, ports, vlanLimit) : { ...NO_KEY, ufid };
      return { operation, file, line, entry: { ...named, actions: NO_ACTIONS } };
    }
    if (actions === undefined) {
      throw new FlowFileError(file, line, content.length + 1, "expected a blank and actions behind the flow");
    }
    return { operation, file, line, entry: parseFlowEntry(flow.text, actions.text, ports, vlanLimit) };
  } catch (error) {
    if (!(error instanceof FlowTextError)) throw error;
    const part = error.stage === "parsing actions" ? actions! : flow;
    throw new FlowFileError(file, line, part.column + Math.max(error.column, 1), error.message);
  }
}

/** A dump's line ends its flow at the counters; any other at the first blank outside of brackets. */
function splitParts(content: string, start: number): { flow: Part; actions: Part | undefined } {
  const dumped = /, packets:\d+, bytes:\d+, .*?actions:/.exec(content);
  if (dumped !== null) {
    const at = dumped.index + dumped[0].length;
    const actions = content.slice(at).replace(/, dp-extra-info:.*$/, "");
    // A dump of flows with ufids puts a blank behind the ufid.
    return {
      flow: { text: content.slice(start, dumped.index), column: start },
      actions: { text: actions, column: at },
    };
  }
  const end = blankOutsideBrackets(content, start);
  const behind = content.slice(end).search(/\S/);
  const flow = { text: content.slice(start, end), column: start };
  return {
    flow,
    actions: behind < 0 ? undefined : { text: content.slice(end + behind).trimEnd(), column: end + behind },
  };
}

function blankOutsideBrackets(content: string, start: number): number {
  let depth = 0;
  for (let at = start; at < content.length; at += 1) {
    const character = content[at]!;
    if (character === "(") depth += 1;
    else if (character === ")") depth -= 1;
    else if (depth === 0 && (character === " " || character === "\t") && content[at - 1] !== ",") return at;
  }
  return content.length;
}
