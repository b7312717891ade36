#!/usr/bin/env node
// The command line: one file for each command, put together here.
import { Command, CommanderError } from "commander";
import { VERSION } from "../control/version.ts";
import { benchCommand } from "./bench.ts";
import { compileCommand } from "./compile.ts";
import { configCommand } from "./config.ts";
import { appctlCommand, dpctlCommand } from "./dpctl.ts";
import { EXIT, ExitError } from "./exit-code.ts";
import { extractCommand } from "./extract.ts";
import { odpCommand } from "./odp.ts";
import { replayCommand } from "./replay.ts";
import { runCommand } from "./run.ts";
import { showCommands } from "./show.ts";

const program = new Command("millrace")
  .description("The Open vSwitch datapath as a poll-mode dataplane")
  .version(`millrace ${VERSION}`)
  .enablePositionalOptions()
  .exitOverride()
  .showHelpAfterError();

const commands = [
  runCommand(),
  benchCommand(),
  replayCommand(),
  compileCommand(),
  configCommand(),
  extractCommand(),
  odpCommand(),
  dpctlCommand(),
  appctlCommand(),
  ...showCommands(),
];
for (const command of commands) {
  program.addCommand(command.copyInheritedSettings(program));
  for (const part of command.commands) part.copyInheritedSettings(command);
}

// A reader that closes the pipe early (head, less) has seen what it wanted.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(EXIT.ok);
});

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  } else {
    const known = error instanceof ExitError;
    console.error(known ? `millrace: ${error.message}` : error);
    process.exitCode = known ? error.exitCode : EXIT.failed;
  }
}
