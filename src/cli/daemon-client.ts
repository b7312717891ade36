// What the commands that ask the daemon share: its socket, one call, watching.
import { setTimeout as sleep } from "node:timers/promises";
import { type Command, InvalidArgumentError } from "commander";
import { callUnixctl, UnixctlError } from "../control/unixctl/client.ts";
import { defaultSocketPath } from "../control/unixctl/path.ts";
import { EXIT, ExitError } from "./exit-code.ts";

export interface DaemonOptions {
  readonly socket?: string;
  readonly json?: boolean;
  readonly watch?: boolean;
  readonly interval?: number;
}

const WATCH_SECONDS = 1;

/** Adds --socket, --json, --watch and --interval to a command. */
export function withDaemonOptions(command: Command): Command {
  return command
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
    const answer = await callDaemon(options, method, params);
    const text = options.json ? `${JSON.stringify(answer, null, options.watch ? 0 : 2)}\n` : String(answer);
    const clear = options.watch && !options.json && process.stdout.isTTY ? "\x1b[H\x1b[2J" : "";
    process.stdout.write(clear + text);
    if (!options.watch) return;
    await sleep((options.interval ?? WATCH_SECONDS) * 1000);
  }
}

function positiveSeconds(text: string): number {
  const seconds = Number(text);
  if (!(seconds > 0)) throw new InvalidArgumentError("a number of seconds above 0 is expected");
  return seconds;
}
