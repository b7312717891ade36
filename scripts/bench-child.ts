// Programs that a benchmark runs one at a time, each ended with the benchmark.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";

/** How much of what a program complained of is told. */
const COMPLAINT_CHARACTERS = 1000;

let current: ChildProcess | undefined;

export interface ChildOptions {
  /** The only CPU that it may use; undefined: any. */
  readonly cpu?: number | undefined;
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export const hasProgram = (name: string, ...args: string[]): boolean =>
  spawnSync(name, args, { stdio: "ignore" }).error === undefined;

/** What it printed. @throws Error with its complaint when it does not end with code 0 */
export async function outputOf(
  command: string,
  args: readonly string[],
  { cpu, input = "", env = {} }: ChildOptions = {},
): Promise<string> {
  const line = cpu === undefined ? [command, ...args] : ["taskset", "-c", String(cpu), command, ...args];
  const child = spawn(line[0]!, line.slice(1), { env: { ...process.env, ...env } });
  current = child;
  try {
    // A program that ends without reading its input says why itself.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
    const [out, complaint] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "close"),
    ]);
    if (child.exitCode === 0) return out;
    const ended = child.exitCode === null ? child.signalCode : `code ${child.exitCode}`;
    throw new Error(`${command} ended with ${ended}: ${complaint.trim().slice(-COMPLAINT_CHARACTERS)}`);
  } finally {
    current = undefined;
  }
}

/** Asks the program that runs now to end; what waits for it fails then. */
export function endCurrent(): void {
  current?.kill("SIGTERM");
}
