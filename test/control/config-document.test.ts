// docs/configuration.md lists every setting of millrace.yaml, and no other, with its default.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import t from "tap";
import * as v from "valibot";
import { bondSchema } from "../../src/control/config/bonds.ts";
import { configSchema, meterSchema, portSchema } from "../../src/control/config/schema.ts";

const DOCUMENT = resolve(import.meta.dirname, "../../../docs/configuration.md");

interface Shape {
  readonly type?: string;
  readonly wrapped?: Shape;
  readonly entries?: Readonly<Record<string, Shape>>;
}

/** Names of settings, those of sections with the section in front. */
function settings({ entries = {} }: Shape, prefix = ""): string[] {
  return Object.entries(entries).flatMap(([name, setting]) => {
    const inner = setting.wrapped ?? setting;
    return inner.entries === undefined ? [`${prefix}${name}`] : settings(inner, `${prefix}${name}.`);
  });
}

function rows(text: string): Map<string, string> {
  return new Map(
    Array.from(text.matchAll(/^\| `([\w.-]+)` \| (.*?) \|/gm), ([, name, value]) => [name!, value!]),
  );
}

const [whole, meters, ports, bonds] = readFileSync(DOCUMENT, "utf8").split(
  /\nA (?:meter|port|bond)(?::|, one .*)\n/,
) as [string, string, string, string];

t.test("the names", (t) => {
  const expected = settings(configSchema as Shape).filter((name) => name !== "ports");
  t.same([...rows(whole).keys()].sort(), expected.sort());
  t.same([...rows(meters).keys()].sort(), settings(meterSchema as Shape).sort());
  t.same([...rows(bonds).keys()].sort(), settings(bondSchema as Shape).sort());
  t.same([...rows(ports).keys()].sort(), settings(portSchema as Shape).sort());
  t.end();
});

t.test("the defaults that are values", (t) => {
  const defaults = v.parse(configSchema, {}) as Record<string, unknown>;
  for (const [name, text] of rows(whole)) {
    const value = name
      .split(".")
      .reduce<unknown>((at, key) => (at as Record<string, unknown>)?.[key], defaults);
    if (value === undefined || Array.isArray(value)) continue;
    t.equal(text.replaceAll("`", ""), String(value), name);
  }
  t.end();
});
