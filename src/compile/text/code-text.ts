// Instructions of one function as lines of text.
import { VALUE_TYPE_BYTES, type ValueType } from "../encoder/module.ts";
import type { ByteReader } from "./byte-reader.ts";
import {
  ATOMIC_INSTRUCTIONS,
  BULK_INSTRUCTIONS,
  INSTRUCTIONS,
  type Instruction,
  VECTOR_INSTRUCTIONS,
} from "./opcodes.ts";

export const TYPE_NAMES: ReadonlyMap<number, ValueType> = new Map(
  Object.entries(VALUE_TYPE_BYTES).map(([name, byte]) => [byte, name as ValueType]),
);

export interface CodeNames {
  readonly functions: ReadonlyMap<number, string>;
  readonly locals: readonly string[];
  readonly globals: readonly string[];
}

const PREFIXES: ReadonlyMap<number, ReadonlyMap<number, Instruction>> = new Map([
  [0xfc, BULK_INSTRUCTIONS],
  [0xfd, VECTOR_INSTRUCTIONS],
  [0xfe, ATOMIC_INSTRUCTIONS],
]);
const OUTER_INDENT = 2;
const NO_RESULT = 0x40;

/** Without the `end` of the body itself. @throws Error naming an opcode that is not known */
export function codeText(reader: ByteReader, names: CodeNames): string[] {
  const lines: string[] = [];
  let depth = 0;
  while (!reader.isAtEnd) {
    const instruction = readInstruction(reader);
    const { name, immediate } = instruction;
    if (name === "end" || name === "else") depth -= 1;
    if (depth < 0) break;
    lines.push(`${"  ".repeat(depth + OUTER_INDENT)}${name}${immediateText(reader, instruction, names)}`);
    if (immediate === "block" || name === "else") depth += 1;
  }
  return lines;
}

function readInstruction(reader: ByteReader): Instruction {
  const opcode = reader.byte();
  const prefixed = PREFIXES.get(opcode);
  const number = prefixed === undefined ? opcode : reader.unsigned();
  const instruction = (prefixed ?? INSTRUCTIONS).get(number);
  if (instruction === undefined)
    throw new Error(
      `wasm text: opcode 0x${opcode.toString(16)} ${number} has no name; text/opcodes.ts lacks it`,
    );
  return instruction;
}

function immediateText(
  reader: ByteReader,
  { immediate, naturalAlignLog2 }: Instruction,
  names: CodeNames,
): string {
  switch (immediate) {
    case "none":
      return "";
    case "block":
      return blockTypeText(reader.byte());
    case "label":
      return ` ${reader.unsigned()}`;
    case "labels":
      return ` ${[...reader.vector(() => reader.unsigned()), reader.unsigned()].join(" ")}`;
    case "function":
      return ` $${names.functions.get(reader.unsigned())}`;
    case "local":
      return ` $${names.locals[reader.unsigned()]}`;
    case "global":
      return ` $${names.globals[reader.unsigned()]}`;
    case "i32":
    case "i64":
      return ` ${reader.signed()}`;
    case "f64":
      return ` ${new Float64Array(reader.take(8).buffer)[0]}`;
    case "memory":
      return memoryText(reader, naturalAlignLog2!);
    case "lane":
      return ` ${reader.byte()}`;
    case "v128":
      return ` i32x4 ${[...new Int32Array(reader.take(16).buffer)].map(wordText).join(" ")}`;
    case "lanes":
      return ` ${[...reader.take(16)].join(" ")}`;
    case "zero":
      reader.byte();
      return "";
    case "zeros":
      reader.take(2);
      return "";
  }
}

const blockTypeText = (type: number): string =>
  type === NO_RESULT ? "" : ` (result ${TYPE_NAMES.get(type)})`;

const wordText = (word: number): string => `0x${(word >>> 0).toString(16).padStart(8, "0")}`;

function memoryText(reader: ByteReader, naturalAlignLog2: number): string {
  const alignLog2 = reader.unsigned();
  const offset = reader.unsigned();
  const offsetText = offset === 0 ? "" : ` offset=${offset}`;
  return alignLog2 === naturalAlignLog2 ? offsetText : `${offsetText} align=${2 ** alignLog2}`;
}
