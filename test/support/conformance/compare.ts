// Holds two answers to a case together. A difference that docs/conformance.md knows has a rule of its own here, which
// says exactly what may differ; everything else is a finding.
import type { CaseAnswer, ConformanceCase } from "./case.ts";
import { RULES } from "./known-differences.ts";
import type { MillraceAnswer } from "./millrace-side.ts";

export type Aspect = "refusals" | "outputs" | "ports" | "upcalls" | "dumps";

const ASPECTS: readonly Aspect[] = ["refusals", "outputs", "ports", "upcalls", "dumps"];
/** Of flows that the real one made itself; upcalls are what made them. */
export const RULE_ASPECTS: readonly Aspect[] = ["refusals", "outputs", "dumps"];

export interface Difference {
  readonly aspect: Aspect;
  readonly ours: unknown;
  readonly theirs: unknown;
  /** Name of the rule that explains it; undefined for a finding. */
  readonly rule: string | undefined;
}

export function compareAnswers(
  given: ConformanceCase,
  ours: MillraceAnswer,
  theirs: CaseAnswer,
  aspects = ASPECTS,
): Difference[] {
  const differences: Difference[] = [];
  for (const aspect of aspects) {
    // What was sent otherwise was counted otherwise.
    if (aspect === "ports" && differences.length > 0) continue;
    if (JSON.stringify(seen(ours, aspect)) === JSON.stringify(seen(theirs, aspect))) continue;
    const rule = RULES.find((candidate) => candidate.explains({ given, ours, theirs, aspect }))?.name;
    differences.push({ aspect, ours: seen(ours, aspect), theirs: seen(theirs, aspect), rule });
    // A flow that one side does not have makes everything else differ.
    if (aspect === "refusals") break;
  }
  return differences;
}

/** Texts of refusals are not compared, who refuses is. */
function seen(answer: CaseAnswer, aspect: Aspect): unknown {
  return aspect === "refusals" ? answer.refusals.map((refusal) => refusal !== null) : answer[aspect];
}
