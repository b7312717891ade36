// Code of a function before it is bytes: a tree of bytes, structured blocks and branches. Branches name the block that
// they leave, not its depth; the depth follows from where the branch stands, when the tree is written out.
import type { ByteWriter } from "./byte-writer.ts";

/** What a branch names. A label belongs to one block; the name is for error messages. */
export class Label {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** `block`, `loop` or `if` with what stands inside. `type` is the block type's byte: 0x40 for no result. */
export interface Block {
  readonly opcode: number;
  readonly type: number;
  readonly label: Label;
  readonly body: Code;
  readonly otherwise: Code | null;
}

/** `br`, `br_if` or, with several labels of which the last is the default, `br_table`. */
export interface Branch {
  readonly opcode: number;
  readonly labels: readonly Label[];
}

export type Code = number | Block | Branch | readonly Code[];

const OP_ELSE = 0x05;
const OP_END = 0x0b;
const OP_BR_TABLE = 0x0e;

/** Writes the tree as instructions. @throws Error when a branch names a block that it does not stand in */
export function writeCode(writer: ByteWriter, code: Code): void {
  write(writer, code, []);
}

function write(writer: ByteWriter, code: Code, open: Label[]): void {
  if (typeof code === "number") writer.byte(code);
  else if (isList(code)) for (const part of code) write(writer, part, open);
  else if ("labels" in code) writeBranch(writer, code, open);
  else writeBlock(writer, code, open);
}

function writeBlock(writer: ByteWriter, block: Block, open: Label[]): void {
  writer.byte(block.opcode);
  writer.byte(block.type);
  open.push(block.label);
  write(writer, block.body, open);
  if (block.otherwise !== null) {
    writer.byte(OP_ELSE);
    write(writer, block.otherwise, open);
  }
  open.pop();
  writer.byte(OP_END);
}

function writeBranch(writer: ByteWriter, { opcode, labels }: Branch, open: readonly Label[]): void {
  writer.byte(opcode);
  if (opcode === OP_BR_TABLE) writer.unsigned(labels.length - 1);
  for (const label of labels) {
    const at = open.lastIndexOf(label);
    if (at < 0) throw new Error(`wasm encoder: a branch names "${label.name}", which it does not stand in`);
    writer.unsigned(open.length - 1 - at);
  }
}

/** Array.isArray does not narrow readonly arrays. */
const isList = (code: Code): code is readonly Code[] => Array.isArray(code);
