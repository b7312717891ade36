// Blocks, loops, branches and calls. A block's label is given to the function that writes its body, so a branch can
// only name a block that it stands in.
import { unsignedLeb } from "../encoder/byte-writer.ts";
import { Label } from "../encoder/code.ts";
import { type FunctionEntry, VALUE_TYPE_BYTES, type ValueType } from "../encoder/module.ts";
import { type Expression, expression, type I32, type Statement, sequence, statement } from "./expression.ts";

const OP = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  return: 0x0f,
  call: 0x10,
  drop: 0x1a,
  select: 0x1b,
} as const;
const NO_RESULT = 0x40;

type Body = (label: Label) => readonly Statement[];

function blockOf(opcode: number, name: string, body: Body): Statement {
  const label = new Label(name);
  return statement({
    opcode,
    type: NO_RESULT,
    label,
    body: sequence(...body(label)).code,
    otherwise: null,
  });
}

/** A branch to the label goes behind the block. */
export const block = (name: string, body: Body): Statement => blockOf(OP.block, name, body);
/** A branch to the label begins anew; without one the loop ends. */
export const loop = (name: string, body: Body): Statement => blockOf(OP.loop, name, body);

export const br = (label: Label): Statement => statement({ opcode: OP.br, labels: [label] });
export const brIf = (label: Label, condition: I32): Statement =>
  statement([condition.code, { opcode: OP.brIf, labels: [label] }]);
/** Label `index`; the last one for all that are beyond. */
export const brTable = (index: I32, labels: readonly Label[]): Statement =>
  statement([index.code, { opcode: OP.brTable, labels }]);

export function ifElse(
  condition: I32,
  then: readonly Statement[],
  otherwise: readonly Statement[] = [],
): Statement {
  const label = new Label("if");
  return statement([
    condition.code,
    {
      opcode: OP.if,
      type: NO_RESULT,
      label,
      body: sequence(...then).code,
      otherwise: otherwise.length === 0 ? null : sequence(...otherwise).code,
    },
  ]);
}

/** The value of one of two branches, of which only one is computed. */
export function choose<T extends ValueType>(
  condition: I32,
  then: Expression<T>,
  otherwise: Expression<T>,
): Expression<T> {
  return expression(then.type, [
    condition.code,
    {
      opcode: OP.if,
      type: VALUE_TYPE_BYTES[then.type],
      label: new Label("choose"),
      body: then.code,
      otherwise: otherwise.code,
    },
  ]);
}

/** `a` where the condition holds, else `b`; both are computed. */
export const select = <T extends ValueType>(
  a: Expression<T>,
  b: Expression<T>,
  condition: I32,
): Expression<T> => expression(a.type, [a.code, b.code, condition.code, OP.select]);

export const ret = (value?: Expression<ValueType>): Statement =>
  statement(value === undefined ? [OP.return] : [value.code, OP.return]);
export const unreachable: Statement = statement([OP.unreachable]);
export const drop = (value: Expression<ValueType>): Statement => statement([value.code, OP.drop]);

/** A call for its effect. @throws Error when arguments or results are not the function's */
export function callStatement(entry: FunctionEntry, ...args: readonly Expression<ValueType>[]): Statement {
  checkCall(entry, args, undefined);
  return statement([args.map(({ code }) => code), OP.call, ...unsignedLeb(entry.index)]);
}

/** A call for its one result. @throws Error when arguments or result are not the function's */
export function call<T extends ValueType>(
  type: T,
  entry: FunctionEntry,
  ...args: readonly Expression<ValueType>[]
): Expression<T> {
  checkCall(entry, args, type);
  return expression(type, [args.map(({ code }) => code), OP.call, ...unsignedLeb(entry.index)]);
}

function checkCall(
  { name, type }: FunctionEntry,
  args: readonly Expression<ValueType>[],
  result: ValueType | undefined,
): void {
  const given = `(${args.map((arg) => arg.type).join()}) -> ${result ?? ""}`;
  const wanted = `(${type.params.join()}) -> ${type.results.join()}`;
  if (given !== wanted) throw new Error(`wasm ops: ${name} is ${wanted}, called as ${given}`);
}

/** Runs the body while the condition holds. */
export const whileLoop = (name: string, condition: I32, body: readonly Statement[]): Statement =>
  block(`${name}_end`, (end) => [
    loop(name, (again) => [
      statement([condition.code, 0x45, { opcode: OP.brIf, labels: [end] }]),
      ...body,
      br(again),
    ]),
  ]);
