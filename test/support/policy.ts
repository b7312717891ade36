// Policies as a configuration that says nothing more has them, in tests that make switches by hand.

import { parseConfig } from "../../src/control/config/load.ts";
import type { Config } from "../../src/control/config/schema.ts";

const policyOf = (type: Config["policy"]["type"]): Config["policy"] =>
  parseConfig(`policy: { type: ${type} }`, "policy").policy;

export const LEARN_POLICY = policyOf("learn");
export const FLOWS_POLICY = policyOf("flows");
