// Runs one input through a target, and says what is wrong with what became of it.
import type { FuzzTarget } from "./targets.ts";

/** Nothing that is read here takes a hundredth of it. */
const HANG_MILLIS = 5000;

/** Undefined when the target returned, or refused as it says it does. */
export function findingOf(target: FuzzTarget, input: Uint8Array): string | undefined {
  const begun = performance.now();
  try {
    target.run(input);
  } catch (error) {
    if (!target.refusals.some((refusal) => error instanceof refusal))
      return `threw ${(error as Error).stack ?? error}`;
  }
  const millis = performance.now() - begun;
  return millis > HANG_MILLIS ? `took ${Math.round(millis)} ms` : undefined;
}
