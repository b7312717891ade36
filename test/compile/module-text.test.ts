// The text of a module against WebAssembly's own tools: what is printed assembles to the very module that it came from.
import t from "tap";
import loadWabt from "wabt";
import { emitLookup } from "../../src/compile/emit/lookup.ts";
import { EmitScope } from "../../src/compile/emit/scope.ts";
import { readMasks } from "../../src/compile/table-masks.ts";
import { moduleText } from "../../src/compile/text/module-text.ts";
import { createTable, keyOfBits, maskOfBits, outputTo } from "../table/model.ts";

const FEATURES = { simd: true, threads: true, bulk_memory: true };

/** Bytes of the code section and those before it: what the text says. Names are a section of their own behind them. */
function withoutNames(bytes: Uint8Array): Uint8Array {
  let at = 8;
  while (at < bytes.length && bytes[at] !== 0) {
    let size = 0;
    let shift = 0;
    at += 1;
    for (; ; at += 1) {
      size |= (bytes[at]! & 0x7f) << shift;
      shift += 7;
      if ((bytes[at]! & 0x80) === 0) break;
    }
    at += 1 + size;
  }
  return bytes.subarray(0, at);
}

t.test("the text of a program assembles to the program", async (t) => {
  const wabt = await loadWabt();
  const test = createTable();
  for (const mask of [0xff, 0x81, 0x05, 0x00]) {
    const put = { key: keyOfBits(mask), mask: maskOfBits(mask), actions: outputTo(1), ufid: undefined };
    test.table.put({ ...put, create: true, modify: false, operator: true, nowMillis: 1 });
  }
  const scope = new EmitScope(test.arena, "program");
  scope.module.exportFunction("lookup", emitLookup(scope, readMasks(test.arena)));
  const bytes = scope.module.encode();
  const text = moduleText(bytes);
  t.match(text, /\(func \$lookup_in_port_eth_type /);
  const assembled = wabt.parseWat("program.wat", text, FEATURES);
  assembled.resolveNames();
  const again = new Uint8Array(assembled.toBinary({ canonicalize_lebs: true }).buffer);
  t.strictSame(
    Buffer.from(withoutNames(again)).toString("hex"),
    Buffer.from(withoutNames(bytes)).toString("hex"),
  );
});

t.test("an opcode without a name is named by its number", (t) => {
  const scope = new EmitScope(createTable().arena, "strange");
  const entry = scope.module.declareFunction("strange", { params: [], results: [] });
  scope.module.defineFunction(entry, { locals: [], paramNames: [], code: [0xd0, 0x70, 0x1a] });
  t.throws(() => moduleText(scope.module.encode()), /opcode 0xd0 208 has no name/);
  t.end();
});
