// What `ovstest test-odp` answers for one line: the key or flow parsed and printed again, or OVS's words for a line
// that does not parse.

import { type FlowFilter, passesFilter } from "../filter.ts";
import { exactMaskFor } from "./exact-mask.ts";
import { formatFlow } from "./format-key.ts";
import { attributesFromKey } from "./from-key.ts";
import { type FlowText, parseFlowText } from "./parse-key.ts";
import { OdpSyntaxError } from "./text-cursor.ts";
import { keyFromAttributes, maskFromAttributes } from "./to-key.ts";

/** ovstest knows both tags, the extensions of neighbour discovery, and not the tuples of connections. */
const TEST_EXPORT = {
  vlanLimit: 2,
  recircFirst: true,
  ndExtensions: true,
  withoutCtTuples: true,
} as const;

const FIT_PREFIX = {
  perfect: "",
  too_much: "ODP_FIT_TOO_MUCH: ",
  too_little: "ODP_FIT_TOO_LITTLE: ",
} as const;

/** The text as attributes, or the answer to one that is none. */
function parseOrRefuse(line: string): FlowText | string {
  try {
    return parseFlowText(line);
  } catch (error) {
    if (error instanceof OdpSyntaxError) {
      return `odp_flow_from_string: error (syntax error at ${error.rest})`;
    }
    throw error;
  }
}

/** Through the flow key: text, attributes, key, attributes, text. */
export function parseKeysLine(line: string): string {
  const parsed = parseOrRefuse(line);
  if (typeof parsed === "string") return parsed;
  const { fit, key, problem } = keyFromAttributes(parsed.key, TEST_EXPORT);
  if (fit === "error") {
    const where =
      problem === undefined ? "" : `${problem.path}, byte ${problem.byteOffset}: ${problem.rule}; `;
    const flow = `the flow key in error is: ${formatFlow(parsed.key, undefined)}`;
    return `odp_flow_key_to_flow: error (${where}${flow})`;
  }
  return FIT_PREFIX[fit] + formatFlow(attributesFromKey(key, undefined, TEST_EXPORT).key, undefined);
}

/** Through the attributes of key and mask only. */
export function parseWildcardedKeysLine(line: string): string {
  const parsed = parseOrRefuse(line);
  return typeof parsed === "string" ? parsed : formatFlow(parsed.key, parsed.mask);
}

/** As parse-wc-keys, or nothing for a flow that the filter keeps out. Whatever of it could be read is compared. */
export function filterLine(line: string, filter: FlowFilter): string | undefined {
  const parsed = parseOrRefuse(line);
  if (typeof parsed === "string") return parsed;
  const { key } = keyFromAttributes(parsed.key, TEST_EXPORT);
  const mask =
    parsed.mask.length === 0 ? exactMaskFor(key) : maskFromAttributes(parsed.mask, key, TEST_EXPORT).key;
  return passesFilter({ key, mask }, filter) ? formatFlow(parsed.key, parsed.mask) : undefined;
}
