// How well attributes make a flow key, and what is wrong with those that do not.

/**
 * `perfect`: everything that the headers call for and nothing else. `too_little`: something that they call for is
 * missing. `too_much`: something is there that nothing calls for. `error`: an attribute breaks a rule.
 */
export type KeyFit = "perfect" | "too_much" | "too_little" | "error";

export interface KeyProblem {
  readonly what: "key" | "mask";
  /** Names of the attributes from the outside in, such as `encap/ipv4`; empty for the whole. */
  readonly path: string;
  /** Of the attribute's header, from the first byte of the attributes. */
  readonly byteOffset: number;
  readonly rule: string;
  /** What would have been accepted. */
  readonly accepted: string;
}

/** A key or mask that cannot be one of a flow. */
export class FlowKeyError extends Error {
  readonly fit: KeyFit;
  readonly problem: KeyProblem;

  constructor(fit: KeyFit, problem: KeyProblem) {
    const { what, path, byteOffset, rule, accepted } = problem;
    const place = path === "" ? "" : ` ${path}`;
    super(`flow ${what}${place}, byte ${byteOffset}: ${rule}; accepted: ${accepted}`);
    this.name = "FlowKeyError";
    this.fit = fit;
    this.problem = problem;
  }
}
