// Reads millrace.yaml. Every problem is told with file, line and column, all of them at once; nothing is applied
// unless the whole file is right.
import { readFileSync } from "node:fs";
import * as v from "valibot";
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument } from "yaml";
import { framesNeeded } from "../../port/frame-budget.ts";
import { LOCAL_PORT_NO } from "../../port/port.ts";
import { PORT_DRIVERS } from "../drivers.ts";
import { arenaSizes } from "./arena-sizes.ts";
import { bondProblems } from "./bonds.ts";
import { portSpec } from "./port-spec.ts";
import { type Config, configSchema } from "./schema.ts";

export interface ConfigProblem {
  readonly line: number;
  readonly column: number;
  /** Where in the file's structure, like `ports[1].type`. */
  readonly path: string;
  readonly message: string;
}

export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];

  constructor(file: string, problems: readonly ConfigProblem[]) {
    const lines = problems.map(
      ({ line, column, path, message }) => `${file}:${line}:${column}: ${path ? `${path}: ` : ""}${message}`,
    );
    super(lines.join("\n"));
    this.name = "ConfigError";
    this.problems = problems;
  }
}

/** @throws ConfigError, or the system's error when the file cannot be read. */
export function loadConfig(file: string): Config {
  return parseConfig(readFileSync(file, "utf8"), file);
}

/** @throws ConfigError with every problem of the text */
export function parseConfig(text: string, file: string): Config {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  if (document.errors.length > 0) {
    throw new ConfigError(
      file,
      document.errors.map((error) => {
        const { line, col } = lines.linePos(error.pos[0]);
        return { line, column: col, path: "", message: error.message.split(" at line ")[0]!.trim() };
      }),
    );
  }
  const result = v.safeParse(configSchema, document.toJS() ?? {});
  if (!result.success) {
    throw new ConfigError(
      file,
      result.issues.map((issue) => issueProblem(issue, document, lines)),
    );
  }
  const problems = crossChecks(result.output).map(({ path, message }) =>
    locate(path, message, document, lines),
  );
  if (problems.length > 0) throw new ConfigError(file, problems);
  return result.output;
}

type PathKey = string | number;

function issueProblem(issue: v.BaseIssue<unknown>, document: Document, lines: LineCounter): ConfigProblem {
  const path = (issue.path ?? []).map((item) => item.key as PathKey);
  const unknown = issue.type === "strict_object" && issue.expected === "never";
  return locate(path, unknown ? "there is no such setting" : issue.message, document, lines);
}

/** Finds the node a path names, or the innermost one that exists. */
function locate(
  path: readonly PathKey[],
  message: string,
  document: Document,
  lines: LineCounter,
): ConfigProblem {
  let offset = 0;
  for (let depth = 0; depth <= path.length; depth += 1) {
    const parent = document.getIn(path.slice(0, depth), true);
    if (isNode(parent) && parent.range) offset = parent.range[0];
    const pair = isMap(parent)
      ? parent.items.find(({ key }) => isScalar(key) && key.value === path[depth])
      : undefined;
    if (pair !== undefined && isNode(pair.key) && pair.key.range) offset = pair.key.range[0];
  }
  const { line, col } = lines.linePos(offset);
  const text = path
    .map((key) => (typeof key === "number" ? `[${key}]` : `.${key}`))
    .join("")
    .replace(/^\./, "");
  return { line, column: col, path: text, message };
}

interface CrossProblem {
  readonly path: readonly PathKey[];
  readonly message: string;
}

/** Rules between settings, which no single one can tell. */
function crossChecks(config: Config): CrossProblem[] {
  const problems: CrossProblem[] = [];
  const names = new Set<string>();
  const numbers = new Set<number>();
  const local = config["local-port"];
  if (local !== undefined) {
    names.add(local);
    numbers.add(LOCAL_PORT_NO);
  }
  for (const [index, port] of config.ports.entries()) {
    if (names.has(port.name))
      problems.push({ path: ["ports", index, "name"], message: `port "${port.name}" stands twice` });
    names.add(port.name);
    const number = port["port-no"];
    if (number !== undefined && numbers.has(number)) {
      problems.push({ path: ["ports", index, "port-no"], message: `port number ${number} stands twice` });
    }
    if (number !== undefined) numbers.add(number);
    if (port.vlan?.mode === "access" && port.vlan.tag === undefined) {
      problems.push({ path: ["ports", index, "vlan"], message: "an access port needs a tag" });
    }
  }
  problems.push(...bondProblems(config));
  problems.push(...frameProblems(config));
  if (numberOfPorts(config) > config.memory.ports) {
    problems.push({
      path: ["ports"],
      message: `${numberOfPorts(config)} ports, but memory.ports is ${config.memory.ports}`,
    });
  }
  const shared = (config.workers.cpus ?? []).filter((cpu) => config["control-cpus"]?.includes(cpu));
  if (shared.length > 0) {
    problems.push({
      path: ["control-cpus"],
      message: `CPU ${shared[0]} is a worker's too; a worker never gives way`,
    });
  }
  return problems;
}

/** Options that a port type refuses, and a pool too small for threads and ports (port/frame-budget.ts). */
function frameProblems(config: Config): CrossProblem[] {
  const sizes = arenaSizes(config);
  const problems: CrossProblem[] = [];
  const local = config["local-port"];
  let kept =
    local === undefined
      ? 0
      : (PORT_DRIVERS.get("internal")?.keptFrames?.({ name: local, type: "internal" }, sizes) ?? 0);
  for (const [index, port] of config.ports.entries()) {
    try {
      kept += PORT_DRIVERS.get(port.type)?.keptFrames?.(portSpec(port), sizes) ?? 0;
    } catch (error) {
      problems.push({ path: ["ports", index], message: (error as Error).message });
    }
  }
  const needed = framesNeeded(sizes, kept);
  if (needed > sizes.frameCount) {
    problems.push({
      path: ["memory", "frames"],
      message:
        `${sizes.frameCount} frames, but the queues of the ports keep ${kept} and the threads ${needed - kept}; ` +
        `raise it to ${needed}, or lower ports' rx-queues or option ring-size, or workers`,
    });
  }
  return problems;
}

const numberOfPorts = (config: Config): number =>
  config.ports.length + (config["local-port"] === undefined ? 0 : 1);
