// Puts `millrace` among the checkout's own commands, so that `npx millrace` runs it: npx looks into node_modules/.bin
// and nowhere else before it asks the registry.
import { chmodSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join, relative, resolve } from "node:path";

const root = resolve(import.meta.dirname, "../..");
const target = join(root, "build/src/cli/millrace.js");
const folder = join(root, "node_modules/.bin");
const link = join(folder, "millrace");

chmodSync(target, 0o755);
mkdirSync(folder, { recursive: true });
rmSync(link, { force: true });
symlinkSync(relative(folder, target), link);
