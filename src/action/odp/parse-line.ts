// `millrace odp parse-actions`: what `ovstest test-odp parse-actions` answers for one line. Control path.
import { OdpSyntaxError } from "../../flow/odp/text-cursor.ts";
import { parseActions } from "./parse-actions.ts";
import { printActions } from "./print-actions.ts";

/** The actions parsed and printed again, or OVS's words for a line that does not parse. */
export function parseActionsLine(line: string): string {
  try {
    return printActions(parseActions(line));
  } catch (error) {
    if (error instanceof OdpSyntaxError || error instanceof RangeError)
      return "odp_actions_from_string: error";
    throw error;
  }
}
