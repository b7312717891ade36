// A module as it is built: imports, functions, exports and names, and its bytes in the order that the binary format
// wants (WebAssembly core specification, section 5.5). Knows nothing of what the code is for.
//
// Imported functions come first in the index space, so all of them are declared before the first function of the
// module's own. A function is declared before its body is written, so functions may call each other. The name section
// (appendix "Custom sections") names functions and locals: profilers and disassemblers show these names.
import { ByteWriter } from "./byte-writer.ts";
import { type Code, writeCode } from "./code.ts";

export type ValueType = "i32" | "i64" | "f64" | "v128";

export const VALUE_TYPE_BYTES: Readonly<Record<ValueType, number>> = {
  i32: 0x7f,
  i64: 0x7e,
  f64: 0x7c,
  v128: 0x7b,
};

export interface FunctionType {
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
}

/** A function of the module, imported or its own. */
export interface FunctionEntry {
  readonly index: number;
  readonly name: string;
  readonly type: FunctionType;
}

export interface NamedLocal {
  readonly name: string;
  readonly type: ValueType;
}

export interface FunctionBody {
  /** Of the locals that are no parameters. */
  readonly locals: readonly NamedLocal[];
  readonly paramNames: readonly string[];
  readonly code: Code;
}

/** Of a memory, in pages of 64 KiB. */
export interface MemoryLimits {
  readonly initial: number;
  readonly maximum: number;
}

const SECTION = { custom: 0, type: 1, import: 2, function: 3, export: 7, code: 10 } as const;
const KIND = { function: 0, memory: 2, global: 3 } as const;
const GLOBAL_IMMUTABLE = 0;
const MEMORY_SHARED_WITH_MAXIMUM = 3;
const TYPE_FUNCTION = 0x60;
const OP_END = 0x0b;
const NAMES = { module: 0, functions: 1, locals: 2 } as const;
const PREAMBLE = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

interface Import {
  readonly module: string;
  readonly name: string;
  readonly typeIndex: number;
}

interface ImportedGlobal {
  readonly module: string;
  readonly name: string;
  readonly type: ValueType;
}

export class ModuleBuilder {
  readonly #name: string;
  readonly #types: FunctionType[] = [];
  readonly #typeIndices = new Map<string, number>();
  readonly #imports: Import[] = [];
  readonly #globals: ImportedGlobal[] = [];
  readonly #functions: FunctionEntry[] = [];
  readonly #bodies = new Map<number, FunctionBody>();
  readonly #exports = new Map<string, number>();
  #memory: { readonly module: string; readonly name: string; readonly limits: MemoryLimits } | null = null;

  constructor(name: string) {
    this.#name = name;
  }

  /** A shared memory; a module has one at the most. */
  importMemory(module: string, name: string, limits: MemoryLimits): void {
    this.#memory = { module, name, limits };
  }

  importFunction(module: string, name: string, type: FunctionType): FunctionEntry {
    if (this.#bodies.size > 0 || this.#imports.length < this.#functions.length) {
      throw new Error(`wasm encoder: import ${module}.${name} comes behind a function of the module's own`);
    }
    this.#imports.push({ module, name, typeIndex: this.#typeIndex(type) });
    return this.#add(name, type);
  }

  /** A constant of the instance. Returns its index. */
  importGlobal(module: string, name: string, type: ValueType): number {
    this.#globals.push({ module, name, type });
    return this.#globals.length - 1;
  }

  declareFunction(name: string, type: FunctionType): FunctionEntry {
    this.#typeIndex(type);
    return this.#add(name, type);
  }

  defineFunction(entry: FunctionEntry, body: FunctionBody): void {
    if (this.#bodies.has(entry.index)) throw new Error(`wasm encoder: ${entry.name} has a body already`);
    this.#bodies.set(entry.index, body);
  }

  exportFunction(name: string, entry: FunctionEntry): void {
    if (this.#exports.has(name)) throw new Error(`wasm encoder: export ${name} stands twice`);
    this.#exports.set(name, entry.index);
  }

  /** @throws Error naming a function without a body */
  encode(): Uint8Array<ArrayBuffer> {
    const writer = new ByteWriter();
    writer.bytes(PREAMBLE);
    this.#section(writer, SECTION.type, (part) => this.#writeTypes(part));
    this.#section(writer, SECTION.import, (part) => this.#writeImports(part));
    this.#section(writer, SECTION.function, (part) =>
      part.vector(this.#own(), ({ type }) => part.unsigned(this.#typeIndex(type))),
    );
    this.#section(writer, SECTION.export, (part) => this.#writeExports(part));
    this.#section(writer, SECTION.code, (part) =>
      part.vector(this.#own(), (entry) => part.sized((body) => writeBody(body, this.#body(entry)))),
    );
    this.#section(writer, SECTION.custom, (part) => this.#writeNames(part));
    return writer.take();
  }

  #section(writer: ByteWriter, id: number, write: (part: ByteWriter) => void): void {
    writer.byte(id);
    writer.sized(write);
  }

  #own(): readonly FunctionEntry[] {
    return this.#functions.slice(this.#imports.length);
  }

  #body(entry: FunctionEntry): FunctionBody {
    const body = this.#bodies.get(entry.index);
    if (body === undefined) throw new Error(`wasm encoder: function ${entry.name} has no body`);
    return body;
  }

  #add(name: string, type: FunctionType): FunctionEntry {
    const entry = { index: this.#functions.length, name, type };
    this.#functions.push(entry);
    return entry;
  }

  #typeIndex(type: FunctionType): number {
    const key = `${type.params.join()}>${type.results.join()}`;
    const known = this.#typeIndices.get(key);
    if (known !== undefined) return known;
    this.#typeIndices.set(key, this.#types.length);
    this.#types.push(type);
    return this.#types.length - 1;
  }

  #writeTypes(writer: ByteWriter): void {
    writer.vector(this.#types, ({ params, results }) => {
      writer.byte(TYPE_FUNCTION);
      writer.vector(params, (param) => writer.byte(VALUE_TYPE_BYTES[param]));
      writer.vector(results, (result) => writer.byte(VALUE_TYPE_BYTES[result]));
    });
  }

  #writeImports(writer: ByteWriter): void {
    writer.unsigned(this.#imports.length + this.#globals.length + (this.#memory === null ? 0 : 1));
    if (this.#memory !== null) {
      const { module, name, limits } = this.#memory;
      writer.name(module);
      writer.name(name);
      writer.byte(KIND.memory);
      writer.byte(MEMORY_SHARED_WITH_MAXIMUM);
      writer.unsigned(limits.initial);
      writer.unsigned(limits.maximum);
    }
    for (const { module, name, type } of this.#globals) {
      writer.name(module);
      writer.name(name);
      writer.byte(KIND.global);
      writer.byte(VALUE_TYPE_BYTES[type]);
      writer.byte(GLOBAL_IMMUTABLE);
    }
    for (const { module, name, typeIndex } of this.#imports) {
      writer.name(module);
      writer.name(name);
      writer.byte(KIND.function);
      writer.unsigned(typeIndex);
    }
  }

  #writeExports(writer: ByteWriter): void {
    writer.vector([...this.#exports], ([name, index]) => {
      writer.name(name);
      writer.byte(KIND.function);
      writer.unsigned(index);
    });
  }

  #writeNames(writer: ByteWriter): void {
    writer.name("name");
    const subsection = (id: number, write: (part: ByteWriter) => void): void => {
      writer.byte(id);
      writer.sized(write);
    };
    subsection(NAMES.module, (part) => part.name(this.#name));
    subsection(NAMES.functions, (part) =>
      part.vector(this.#functions, ({ index, name }) => {
        part.unsigned(index);
        part.name(name);
      }),
    );
    subsection(NAMES.locals, (part) =>
      part.vector(this.#own(), (entry) => {
        const { paramNames, locals } = this.#body(entry);
        part.unsigned(entry.index);
        let index = 0;
        part.vector([...paramNames, ...locals.map(({ name }) => name)], (name) => {
          part.unsigned(index);
          part.name(name);
          index += 1;
        });
      }),
    );
  }
}

function writeBody(writer: ByteWriter, { locals, code }: FunctionBody): void {
  const runs: { count: number; readonly type: ValueType }[] = [];
  for (const { type } of locals) {
    const last = runs.at(-1);
    if (last?.type === type) last.count += 1;
    else runs.push({ count: 1, type });
  }
  writer.vector(runs, ({ count, type }) => {
    writer.unsigned(count);
    writer.byte(VALUE_TYPE_BYTES[type]);
  });
  writeCode(writer, code);
  writer.byte(OP_END);
}
