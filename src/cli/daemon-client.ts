// What the commands that ask the daemon share: its socket, one call, watching.
import { setTimeout as sleep } from "node:timers/promises";
import { type Command, InvalidArgumentError } from "commander";
import type { ProgressStep } from "../control/progress.ts";
import { callUnixctl, UnixctlError } from "../control/unixctl/client.ts";
import { defaultSocketPath } from "../control/unixctl/path.ts";
import { EXIT, ExitError } from "./exit-code.ts";
import { Progress, type ProgressOptions, withProgressOptions } from "./progress.ts";

export interface DaemonOptions extends ProgressOptions {
  readonly socket?: string;
  readonly json?: boolean;
  readonly watch?: boolean;
  readonly interval?: number;
}

const WATCH_SECONDS = 1;
/** How often the daemon is asked how far it is, and how long an answer may take before it is. */
const PROGRESS_MILLIS = 300;

/** Adds --socket, --json, --watch, --interval, --progress and --no-progress to a command. */
export function withDaemonOptions(command: Command): Command {
  return withProgressOptions(command)
    .option("--socket <path>", "control socket of the daemon", defaultSocketPath())
    .option("--json", "answer as JSON")
    .option("--watch", "repeat until interrupted")
    .option("--interval <seconds>", "time between two answers of --watch", positiveSeconds, WATCH_SECONDS);
}

/** Runs one command in the daemon. @throws ExitError */
export async function callDaemon(
  options: DaemonOptions,
  method: string,
  params: readonly string[],
): Promise<unknown> {
  try {
    return await callUnixctl(
      options.socket ?? defaultSocketPath(),
      method,
      params,
      options.json ? "json" : "text",
    );
  } catch (error) {
    if (!(error instanceof UnixctlError)) throw error;
    throw new ExitError(error.kind === "unreachable" ? EXIT.unreachable : EXIT.failed, error.message);
  }
}

/** Prints a command's answer, once or again and again with --watch. */
export async function printFromDaemon(
  options: DaemonOptions,
  method: string,
  params: readonly string[],
): Promise<void> {
  for (;;) {
    const answer = await callWithProgress(options, method, params);
    const text = options.json ? `${JSON.stringify(answer, null, options.watch ? 0 : 2)}\n` : String(answer);
    const clear = options.watch && !options.json && process.stdout.isTTY ? "\x1b[H\x1b[2J" : "";
    process.stdout.write(clear + text);
    if (!options.watch) return;
    await sleep((options.interval ?? WATCH_SECONDS) * 1000);
  }
}

/** As callDaemon(); while the answer is awaited, how far the daemon is with it. */
async function callWithProgress(
  options: DaemonOptions,
  method: string,
  params: readonly string[],
): Promise<unknown> {
  const progress = new Progress(options);
  if (!progress.isShown || options.watch) return callDaemon(options, method, params);
  const ended = new AbortController();
  const watching = watchJob(options, method, progress, ended.signal);
  try {
    return await callDaemon(options, method, params);
  } finally {
    ended.abort();
    await watching;
    progress.end();
  }
}

interface JobRow extends ProgressStep {
  readonly command: string;
}

/** Shows the daemon's job of this name, again and again, until the signal. */
async function watchJob(
  options: DaemonOptions,
  method: string,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const path = options.socket ?? defaultSocketPath();
  for (;;) {
    await sleep(PROGRESS_MILLIS, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    // Whether the daemon can be reached is the call's own answer.
    const rows = await callUnixctl(path, "millrace/jobs-show", [], "json").catch(() => []);
    const job = (rows as JobRow[]).find(({ command }) => command.split(" ")[0] === method);
    if (job !== undefined && !signal.aborted) progress.show({ ...job, doing: `${method}: ${job.doing}` });
  }
}

function positiveSeconds(text: string): number {
  const seconds = Number(text);
  if (!(seconds > 0)) throw new InvalidArgumentError("a number of seconds above 0 is expected");
  return seconds;
}
