// The corpora that stand beside the repository (../shared/corpora): inputs, and what the real Open vSwitch
// answered. A clone need not have them; each reader then answers undefined and corporaSkipReason() says why.

import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of package.json, found upwards from this file, which runs from build/test/support. */
export const REPOSITORY_ROOT = findRoot(dirname(fileURLToPath(import.meta.url)));

function findRoot(start: string): string {
  for (let folder = start; ; folder = dirname(folder)) {
    if (existsSync(join(folder, "package.json"))) return folder;
    if (dirname(folder) === folder) throw new Error(`no package.json in or above ${start}`);
  }
}

const CORPORA = join(REPOSITORY_ROOT, "..", "shared", "corpora");

/** Why tests over the corpora are skipped, or false when they are there. Fits tap's `skip` option. */
export function corporaSkipReason(): string | false {
  return existsSync(CORPORA) ? false : "no ../shared/corpora beside the repository";
}

/** Path of a file of the corpora, or undefined when it is not there. */
export function corpusPath(name: string): string | undefined {
  const path = join(CORPORA, name);
  return existsSync(path) ? path : undefined;
}

export function readCorpusText(name: string): string | undefined {
  const path = corpusPath(name);
  return path === undefined ? undefined : readFileSync(path, "utf8");
}

/** Lines of a text corpus without its empty ones and without the newline at the end. */
export function readCorpusLines(name: string): string[] | undefined {
  return readCorpusText(name)
    ?.split("\n")
    .filter((line) => line !== "");
}

/** Rows of a .jsonl corpus. The row type is the reader's own claim about the file. */
export function readCorpusRows<Row>(name: string): Row[] | undefined {
  const path = corpusPath(name);
  return path === undefined ? undefined : readJsonLines<Row>(path);
}

/** Rows of a file of test/oracle, which is part of the repository. */
export function readOracleRows<Row>(name: string): Row[] {
  return readJsonLines<Row>(join(REPOSITORY_ROOT, "test", "oracle", name));
}

function readJsonLines<Row>(path: string): Row[] {
  const rows: Row[] = [];
  for (const [index, line] of readFileSync(path, "utf8").split("\n").entries()) {
    if (line === "") continue;
    try {
      rows.push(JSON.parse(line) as Row);
    } catch (error) {
      throw new Error(`${path}:${index + 1}: not a JSON row`, { cause: error });
    }
  }
  return rows;
}

/** One row of extract/odp-extract-ovs3.1.jsonl. */
export interface ExtractRow {
  readonly src: string;
  readonly n: number;
  readonly len: number;
  readonly hex: string;
  readonly odp_key: string;
}

/** One row of actions/actions-ovs3.1.jsonl. */
export interface ActionRow {
  readonly pkt: string;
  readonly in: string;
  readonly flow: string;
  readonly actions: string;
  readonly out: readonly { readonly port: number; readonly hex: string }[];
  readonly flow_dump: string;
  readonly actions_dump: string;
  readonly packets: number;
  readonly bytes: number;
}
