// `millrace run`: the daemon.
import { Command, InvalidArgumentError, Option } from "commander";
import { ConfigError, loadConfig } from "../control/config/load.ts";
import { ENGINES, type EngineName } from "../control/config/schema.ts";
import { runDaemon } from "../control/daemon.ts";
import { EXIT, ExitError } from "./exit-code.ts";

interface RunOptions {
  readonly config: string;
  readonly socket?: string;
  readonly seed?: number;
  readonly engine?: EngineName;
}

export function runCommand(): Command {
  return new Command("run")
    .description("run the switch until SIGTERM, Ctrl-C or the exit command")
    .option("--config <file>", "configuration", "millrace.yaml")
    .option("--socket <path>", "control socket, instead of the configuration's")
    .option("--seed <n>", "seed of hashes, for replay", parseSeed)
    .addOption(
      new Option("--engine <engine>", "what forwards, instead of the configuration's").choices(ENGINES),
    )
    .action(async ({ config: file, socket, ...given }: RunOptions) => {
      const config = readConfig(file);
      try {
        await runDaemon({ config: { ...config, ...given }, socket });
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
