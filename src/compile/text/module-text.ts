// A module as text, from its bytes: what `millrace compile` shows and what the golden files hold, so that generated code is
// reviewed like source. Reads what encoder/module.ts writes, no other modules.
//
// One instruction a line, as in the text format (WebAssembly core specification, section 6), blocks indented, functions,
// locals and globals by their names.
import type { FunctionType } from "../encoder/module.ts";
import { ByteReader } from "./byte-reader.ts";
import { codeText, TYPE_NAMES } from "./code-text.ts";

const PREAMBLE_BYTES = 8;
const SECTION = { custom: 0, type: 1, import: 2, function: 3, export: 7, code: 10 } as const;
const IMPORT = { function: 0, memory: 2 } as const;
const NAMES = { functions: 1, locals: 2 } as const;

/** What is known of a module before its code is written. */
interface Outline {
  readonly types: readonly FunctionType[];
  readonly imports: readonly string[];
  readonly globals: readonly string[];
  readonly functionTypes: readonly number[];
  readonly exports: readonly (readonly [name: string, index: number])[];
  readonly bodies: readonly ByteReader[];
  readonly functionNames: ReadonlyMap<number, string>;
  readonly localNames: ReadonlyMap<number, readonly string[]>;
}

/** @throws Error when the bytes are no module that the encoder made */
export function moduleText(bytes: Uint8Array): string {
  const outline = readOutline(bytes);
  const lines = ["(module", ...outline.imports.map((line) => `  ${line}`)];
  for (const [index, body] of outline.bodies.entries()) lines.push(...functionText(outline, index, body));
  for (const [name, index] of outline.exports)
    lines.push(`  (export "${name}" (func $${outline.functionNames.get(index)}))`);
  return `${lines.join("\n")})\n`;
}

function readOutline(bytes: Uint8Array): Outline {
  const sections = new Map<number, ByteReader>();
  const reader = new ByteReader(bytes, PREAMBLE_BYTES);
  while (!reader.isAtEnd) {
    const id = reader.byte();
    sections.set(id, reader.sized());
  }
  const section = (id: number): ByteReader => sections.get(id) ?? new ByteReader(new Uint8Array([0]));
  const types = readTypes(section(SECTION.type));
  return {
    types,
    ...readImports(section(SECTION.import)),
    functionTypes: vectorOf(section(SECTION.function), (part) => part.unsigned()),
    exports: vectorOf(section(SECTION.export), (part) => {
      const name = part.name();
      part.byte();
      return [name, part.unsigned()] as const;
    }),
    bodies: vectorOf(section(SECTION.code), (part) => part.sized()),
    ...readNames(section(SECTION.custom)),
  };
}

const vectorOf = <T>(reader: ByteReader, read: (reader: ByteReader) => T): T[] =>
  reader.vector(() => read(reader));

const valueTypes = (reader: ByteReader): FunctionType["params"] =>
  reader.vector(() => TYPE_NAMES.get(reader.byte())!);

const readTypes = (reader: ByteReader): FunctionType[] =>
  reader.vector(() => {
    reader.byte();
    const params = valueTypes(reader);
    return { params, results: valueTypes(reader) };
  });

/** Functions are not among them: programs import none. */
function readImports(reader: ByteReader): { imports: string[]; globals: string[] } {
  const globals: string[] = [];
  const imports = reader.vector(() => {
    const from = `(import "${reader.name()}" `;
    const name = reader.name();
    const kind = reader.byte();
    if (kind === IMPORT.function) throw new Error(`wasm text: function ${name} is imported`);
    if (kind === IMPORT.memory) {
      reader.byte();
      return `${from}"${name}" (memory ${reader.unsigned()} ${reader.unsigned()} shared))`;
    }
    const type = TYPE_NAMES.get(reader.byte())!;
    reader.byte();
    globals.push(name);
    return `${from}"${name}" (global $${name} ${type}))`;
  });
  return { imports, globals };
}

function readNames(reader: ByteReader): Pick<Outline, "functionNames" | "localNames"> {
  const functionNames = new Map<number, string>();
  const localNames = new Map<number, readonly string[]>();
  reader.name();
  while (!reader.isAtEnd) {
    const id = reader.byte();
    const part = reader.sized();
    if (id === NAMES.functions) {
      for (const [index, name] of readNameMap(part)) functionNames.set(index, name);
    } else if (id === NAMES.locals) {
      part.vector(() => {
        const index = part.unsigned();
        localNames.set(index, uniqueNames(readNameMap(part).map(([, name]) => name)));
      });
    }
  }
  return { functionNames, localNames };
}

const readNameMap = (reader: ByteReader): (readonly [index: number, name: string])[] =>
  reader.vector(() => [reader.unsigned(), reader.name()] as const);

/** Two locals of one name are told apart by a number. */
function uniqueNames(names: readonly string[]): readonly string[] {
  const seen = new Map<string, number>();
  return names.map((name) => {
    const count = seen.get(name) ?? 0;
    seen.set(name, count + 1);
    return count === 0 ? name : `${name}.${count}`;
  });
}

function functionText(outline: Outline, index: number, body: ByteReader): string[] {
  const type = outline.types[outline.functionTypes[index]!]!;
  const names = outline.localNames.get(index) ?? [];
  const params = type.params.map((param, at) => ` (param $${names[at]} ${param})`).join("");
  const results = type.results.map((result) => ` (result ${result})`).join("");
  const localTypes = body
    .vector(() => {
      const count = body.unsigned();
      return new Array(count).fill(TYPE_NAMES.get(body.byte())!) as string[];
    })
    .flat();
  const locals = localTypes.map((local, at) => `    (local $${names[type.params.length + at]} ${local})`);
  const code = codeText(body, {
    functions: outline.functionNames,
    locals: names,
    globals: outline.globals,
  });
  return [`  (func $${outline.functionNames.get(index)}${params}${results}`, ...locals, ...code, "  )"];
}
