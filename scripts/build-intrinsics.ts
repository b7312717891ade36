// Assembles src/memory/intrinsics.wat and writes its bytes into src/memory/intrinsics-bytes.ts.
// Run after a change of the .wat: `npm run build && node build/scripts/build-intrinsics.js`.
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { assembleIntrinsics } from "../test/support/assemble.ts";

const root = resolve(import.meta.dirname, "../..");
const bytes = await assembleIntrinsics(readFileSync(resolve(root, "src/memory/intrinsics.wat"), "utf8"));
const lines = (
  Buffer.from(bytes)
    .toString("base64")
    .match(/.{1,100}/g) ?? []
).map((line) => `  "${line}"`);
writeFileSync(
  resolve(root, "src/memory/intrinsics-bytes.ts"),
  `// Written by scripts/build-intrinsics.ts from intrinsics.wat; test/memory/intrinsics.test.ts compares the two.\nexport const INTRINSICS_BASE64 =\n${lines.join(" +\n")};\n`,
);
console.log(`intrinsics: ${bytes.length} bytes`);
