// Builds native/ with node-gyp. The running Node's own headers are used where they are installed, so that
// a build needs no download; elsewhere node-gyp falls back to what its own configuration says.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

/** The prefix whose `include/node` belongs to the running Node, or undefined when it has none. */
function nodeHeaderPrefix(): string | undefined {
  const prefix = resolve(dirname(process.execPath), "..");
  const header = join(prefix, "include/node/node_version.h");
  if (!existsSync(header)) return undefined;
  const [major] = process.versions.node.split(".");
  return new RegExp(`#define NODE_MAJOR_VERSION ${major}\\b`).test(readFileSync(header, "utf8"))
    ? prefix
    : undefined;
}

if (process.platform !== "linux") {
  console.log("native: skipped, the addon is for Linux; pcap, null and dummy ports work without it");
  process.exit(0);
}
const gyp = createRequire(import.meta.url).resolve("node-gyp/bin/node-gyp.js");
const prefix = nodeHeaderPrefix();
const args = [
  "--directory",
  join(root, "native"),
  "--loglevel",
  "error",
  ...(prefix ? [`--nodedir=${prefix}`] : []),
];
const configured = existsSync(join(root, "native/build/Makefile"));
for (const step of configured ? ["build"] : ["configure", "build"]) {
  const { status } = spawnSync(process.execPath, [gyp, step, ...args], { stdio: "inherit" });
  if (status !== 0) {
    console.error(
      `native: node-gyp ${step} failed; g++, make and python3 are needed (apt-get install g++ make python3)`,
    );
    process.exit(status ?? 1);
  }
}
