// Long commands that are under way, so that who waits for one can see how far it is.
import type { ProgressStep } from "./progress.ts";

export interface Job {
  /** As it was called: `dpctl/add-flows FILE`. */
  readonly command: string;
  step: ProgressStep;
}

export class Jobs {
  readonly #jobs = new Set<Job>();

  list(): readonly Job[] {
    return [...this.#jobs];
  }

  begin(command: string, step: ProgressStep): Job {
    const job = { command, step };
    this.#jobs.add(job);
    return job;
  }

  end(job: Job): void {
    this.#jobs.delete(job);
  }
}
