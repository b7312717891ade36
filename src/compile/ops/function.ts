// A function as an emitter writes it: typed parameters and locals, then its statements.
import { unsignedLeb } from "../encoder/byte-writer.ts";
import type { FunctionEntry, ModuleBuilder, NamedLocal, ValueType } from "../encoder/module.ts";
import { type Expression, expression, type Statement, sequence, statement } from "./expression.ts";

const OP_LOCAL_GET = 0x20;
const OP_LOCAL_SET = 0x21;
const OP_LOCAL_TEE = 0x22;

/** A parameter or a local. */
export class Local<T extends ValueType> {
  readonly #type: T;
  readonly #index: readonly number[];

  constructor(type: T, index: number) {
    this.#type = type;
    this.#index = unsignedLeb(index);
  }

  get get(): Expression<T> {
    return expression(this.#type, [OP_LOCAL_GET, ...this.#index]);
  }

  set(value: Expression<T>): Statement {
    return statement([value.code, OP_LOCAL_SET, ...this.#index]);
  }

  /** Sets it and leaves the value. */
  tee(value: Expression<T>): Expression<T> {
    return expression(this.#type, [value.code, OP_LOCAL_TEE, ...this.#index]);
  }
}

export type LocalI32 = Local<"i32">;

/** Hands out the locals of one function, by name. */
export class Locals {
  readonly #paramCount: number;
  readonly #locals: NamedLocal[] = [];

  constructor(paramCount: number) {
    this.#paramCount = paramCount;
  }

  get list(): readonly NamedLocal[] {
    return this.#locals;
  }

  add<T extends ValueType>(name: string, type: T): Local<T> {
    this.#locals.push({ name, type });
    return new Local(type, this.#paramCount + this.#locals.length - 1);
  }

  i32(name: string): LocalI32 {
    return this.add(name, "i32");
  }
}

type Params = Readonly<Record<string, ValueType>>;
type ParamLocals<P extends Params> = { readonly [Name in keyof P]: Local<P[Name]> };

export interface FunctionScope<P extends Params> {
  readonly params: ParamLocals<P>;
  readonly locals: Locals;
}

/** A declared function that has no body yet. */
export interface Declared<P extends Params> {
  readonly entry: FunctionEntry;
  readonly params: P;
}

export function declare<P extends Params>(
  module: ModuleBuilder,
  name: string,
  params: P,
  results: readonly ValueType[] = [],
): Declared<P> {
  return { entry: module.declareFunction(name, { params: Object.values(params), results }), params };
}

/** Gives a declared function its body. Where it has a result, the last statement returns it. */
export function define<P extends Params>(
  module: ModuleBuilder,
  { entry, params }: Declared<P>,
  body: (scope: FunctionScope<P>) => readonly Statement[],
): FunctionEntry {
  const names = Object.keys(params);
  const locals = new Locals(names.length);
  const given = Object.fromEntries(
    names.map((name, index) => [name, new Local(params[name]!, index)]),
  ) as ParamLocals<P>;
  const statements = body({ params: given, locals });
  const code = sequence(...statements).code;
  // A result is returned by name of the instruction, so what comes behind it is never reached.
  module.defineFunction(entry, {
    locals: locals.list,
    paramNames: names,
    code: entry.type.results.length === 0 ? code : [code, 0x00],
  });
  return entry;
}

/** declare and define in one. */
export function emitFunction<P extends Params>(
  module: ModuleBuilder,
  name: string,
  params: P,
  results: readonly ValueType[],
  body: (scope: FunctionScope<P>) => readonly Statement[],
): FunctionEntry {
  return define(module, declare(module, name, params, results), body);
}
