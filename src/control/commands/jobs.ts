// millrace/jobs-show: long commands that are under way, and how far each is.
import type { Command } from "../command.ts";
import type { Jobs } from "../jobs.ts";
import { formatProgress } from "../progress.ts";
import { answer } from "./answer.ts";

export function jobsCommand(jobs: Jobs): Command {
  return {
    name: "millrace/jobs-show",
    usage: "",
    summary: "long commands that are under way, and how far each is",
    argumentCountMin: 0,
    argumentCountMax: 0,
    run: () => {
      const running = jobs.list();
      return answer(
        running.map(({ command, step }) => `${command}: ${formatProgress(step)}`),
        running.map(({ command, step }) => ({ command, ...step })),
      );
    },
  };
}
