// Why a flow's actions are refused: which action, where, by which rule, and what would be taken. Control
// path.

export interface ActionRefusal {
  /** As `actions[2].set.ipv4`; nested lists as `actions[1].clone[0].trunc`. */
  readonly path: string;
  /** Offset of the offending attribute in the action list. */
  readonly byteOffset: number;
  readonly rule: string;
  /** What would be accepted in its place. */
  readonly accepted: string;
}

export function formatRefusal({ path, byteOffset, rule, accepted }: ActionRefusal): string {
  return `${path} (byte ${byteOffset}): ${rule}; accepted: ${accepted}`;
}

/**
 * Thrown inside the validator, where the first violation ends the walk; validate.ts turns it into its value.
 */
export class ActionViolation extends Error {
  readonly refusal: ActionRefusal;

  constructor(refusal: ActionRefusal) {
    super(formatRefusal(refusal));
    this.name = "ActionViolation";
    this.refusal = refusal;
  }
}

export function refuse(path: string, byteOffset: number, rule: string, accepted: string): never {
  throw new ActionViolation({ path, byteOffset, rule, accepted });
}
