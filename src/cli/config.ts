// `millrace config check FILE`: reads the file as `run` would and says what is wrong, or what memory it takes.
import { Command } from "commander";
import { arenaSizes } from "../control/config/arena-sizes.ts";
import { ConfigError, loadConfig } from "../control/config/load.ts";
import { formatPlan, planRegions } from "../memory/region-plan.ts";
import { EXIT, ExitError } from "./exit-code.ts";

export function configCommand(): Command {
  const check = new Command("check")
    .description("read a configuration as run would; print its problems, or the memory that it takes")
    .argument("<file>", "millrace.yaml")
    .option("--json", "print the checked configuration with all defaults")
    .action((file: string, options: { json?: boolean }) => {
      try {
        const config = loadConfig(file);
        const plan = planRegions(arenaSizes(config));
        process.stdout.write(
          `${options.json ? JSON.stringify(config, null, 2) : `${file}: ok\n${formatPlan(plan)}`}\n`,
        );
      } catch (error) {
        if (error instanceof ConfigError) throw new ExitError(EXIT.badData, error.message);
        if (error instanceof RangeError) throw new ExitError(EXIT.badData, `${file}: ${error.message}`);
        throw new ExitError(EXIT.failed, `${file}: ${(error as Error).message}`);
      }
    });
  return new Command("config").description("the configuration file").addCommand(check);
}
