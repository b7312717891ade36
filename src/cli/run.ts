// `millrace run`: the daemon.
import { Command, InvalidArgumentError } from "commander";
import { ConfigError, loadConfig } from "../control/config/load.ts";
import { runDaemon } from "../control/daemon.ts";
import { EXIT, ExitError } from "./exit-code.ts";

interface RunOptions {
  readonly config: string;
  readonly socket?: string;
  readonly seed?: number;
}

export function runCommand(): Command {
  return new Command("run")
    .description("run the switch until SIGTERM, Ctrl-C or the exit command")
    .option("--config <file>", "configuration", "millrace.yaml")
    .option("--socket <path>", "control socket, instead of the configuration's")
    .option("--seed <n>", "seed of hashes, for replay", parseSeed)
    .action(async ({ config: file, socket, seed }: RunOptions) => {
      const config = readConfig(file);
      try {
        await runDaemon({ config: seed === undefined ? config : { ...config, seed }, socket });
      } catch (error) {
        throw new ExitError(EXIT.failed, (error as Error).message);
      }
      // Worker threads and native watches may take a moment to go; nothing of them is waited for.
      process.exit(EXIT.ok);
    });
}

function readConfig(file: string) {
  try {
    return loadConfig(file);
  } catch (error) {
    const code = error instanceof ConfigError ? EXIT.badData : EXIT.failed;
    throw new ExitError(
      code,
      error instanceof ConfigError ? error.message : `${file}: ${(error as Error).message}`,
    );
  }
}

function parseSeed(text: string): number {
  const seed = Number(text);
  if (!Number.isInteger(seed) || seed < 0 || seed > 0xffffffff)
    throw new InvalidArgumentError("a whole number from 0 to 4294967295 is expected");
  return seed;
}
