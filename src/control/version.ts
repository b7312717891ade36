import { readFileSync } from "node:fs";

const packageJson: unknown = JSON.parse(
  readFileSync(new URL("../../../package.json", import.meta.url), "utf8"),
);

export const VERSION: string = (packageJson as { version: string }).version;
