// Progress of a command on stderr, never on stdout: one line drawn over itself on a terminal and wiped at the end; lines
// one below the other when --progress asks for it elsewhere; else nothing.
import type { Command } from "commander";
import { formatProgress, type ProgressStep } from "../control/progress.ts";

/** Time between two pictures: often enough to be seen moving, seldom enough to cost nothing. */
const TERMINAL_MILLIS = 200;
const LINE_MILLIS = 2000;
const TO_LINE_START = "\r\x1b[K";

export interface ProgressOptions {
  /** Undefined: on a terminal only. */
  readonly progress?: boolean;
}

/** Adds --progress and --no-progress to a command. */
export function withProgressOptions(command: Command): Command {
  return command
    .option("--progress", "show progress on stderr; without it only when stderr is a terminal")
    .option("--no-progress", "show none");
}

export class Progress {
  readonly #isTerminal = process.stderr.isTTY === true;
  readonly #isShown: boolean;
  #drawnMillis = Number.NEGATIVE_INFINITY;
  #last: ProgressStep | undefined;

  constructor({ progress }: ProgressOptions) {
    this.#isShown = progress ?? this.#isTerminal;
  }

  get isShown(): boolean {
    return this.#isShown;
  }

  readonly show = (step: ProgressStep): void => {
    if (!this.#isShown) return;
    this.#last = step;
    const now = performance.now();
    if (now - this.#drawnMillis < (this.#isTerminal ? TERMINAL_MILLIS : LINE_MILLIS)) return;
    this.#drawnMillis = now;
    this.#draw(step);
  };

  /** Before anything else is printed: leaves a clean line on a terminal, the last step elsewhere. */
  end(): void {
    if (this.#last === undefined) return;
    if (this.#isTerminal) process.stderr.write(TO_LINE_START);
    else this.#draw(this.#last);
    this.#last = undefined;
  }

  #draw(step: ProgressStep): void {
    const text = formatProgress(step);
    // A line that wraps could not be drawn over.
    const fitting = this.#isTerminal ? text.slice(0, (process.stderr.columns || 80) - 1) : text;
    process.stderr.write(this.#isTerminal ? `${TO_LINE_START}${fitting}` : `${text}\n`);
  }
}
