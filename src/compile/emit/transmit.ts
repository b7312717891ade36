// Transmitting the engine's list of outputs (memory/engine-layout.ts): the compiled Output.outputList (pmd/output.ts).
//
// A run of entries that go to the same port is looked up in the port table once; then every packet of one frame that
// fits and has no unusual flag goes out by what TX_ROUTE.kind of the port's slot says. Everything else is left to
// JavaScript, which calls again for what lies behind it, so that outputs keep their order.
import {
  ENGINE,
  OUT_ENTRY,
  OUT_ENTRY_BYTES,
  TX_KIND,
  TX_ROUTE,
  TX_ROUTE_BYTES,
} from "../../memory/engine-layout.ts";
import {
  FRAME_META_BYTES,
  META16,
  META32,
  NO_FRAME,
  PACKET_CSUM_PARTIAL,
  PACKET_L3,
} from "../../memory/frame-layout.ts";
import { PORT_BLOCK, PORT_UP } from "../../memory/port-layout.ts";
import { PORT_BLOCK_BYTES } from "../../memory/region-plan.ts";
import type { Label } from "../encoder/code.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import { block, br, brIf, brTable, ifElse, loop, ret } from "../ops/control.ts";
import { type I32, type Statement, sequence } from "../ops/expression.ts";
import { emitFunction, type Local, type Locals } from "../ops/function.ts";
import { i32Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import type { EmitScope } from "./scope.ts";
import { afxdpKind } from "./transmit-afxdp.ts";
import type { RunLocals, TxKindCode } from "./transmit-kind.ts";
import { memoryKind, nullKind } from "./transmit-memory.ts";

/** The record's word of segmentCount and flags, what is looked at in it, and what an ordinary packet has there. */
const SEGMENTS_AND_FLAGS = META16.segmentCount * 2;
const ORDINARY_MASK = 0xffff | ((PACKET_CSUM_PARTIAL | PACKET_L3) << 16);
const ORDINARY = 1;

/**
 * `transmit(from) -> index`: sends the list's entries from `from` on. Returns the entry where JavaScript takes over
 * (Output.outputList), or -1 when all are sent and the list is empty.
 */
export function emitTransmit(scope: EmitScope): FunctionEntry {
  return emitFunction(scope.module, "transmit", { from: "i32" }, ["i32"], ({ params: { from }, locals }) => {
    const { scratch } = scope.thread;
    const run = runLocals(locals);
    const entry = (index: I32): I32 => i32.add(scratch, i32.mul(index, i32.const(OUT_ENTRY_BYTES)));
    return [
      run.at.set(entry(from.get)),
      run.end.set(entry(i32Memory.load(scratch, ENGINE.outCount))),
      block("javascript", (javascript) => [
        loop("run", (next) => [
          ifElse(i32.ge_u(run.at.get, run.end.get), [
            i32Memory.store(scratch, i32.const(0), ENGINE.outCount),
            ret(i32.const(-1)),
          ]),
          ...findPort(scope, run, javascript),
          ...byKind(scope, locals, run, javascript),
          // What did not go out although it goes to the same port.
          brIf(next, i32.ge_u(run.at.get, run.end.get)),
          brIf(next, i32.ne(entryWord(run.at, OUT_ENTRY.portNo), run.portNo.get)),
        ]),
      ]),
      ret(i32.shr_u(i32.sub(run.at.get, scratch), i32.const(Math.log2(OUT_ENTRY_BYTES)))),
    ];
  });
}

const entryWord = (at: Local<"i32">, word: number): I32 => i32Memory.load(at.get, ENGINE.outList + word);

function runLocals(locals: Locals): RunLocals {
  return {
    at: locals.i32("at"),
    end: locals.i32("end"),
    portNo: locals.i32("port_no"),
    slot: locals.i32("slot"),
    route: locals.i32("route"),
    packetBytesMax: locals.i32("packet_bytes_max"),
    frame: locals.i32("frame"),
    record: locals.i32("record"),
    packetBytes: locals.i32("packet_bytes"),
    packets: locals.i32("packets"),
    bytes: locals.i32("bytes"),
  };
}

/** The port of the entry that is next; to JavaScript when it is none that is up. */
function findPort(
  scope: EmitScope,
  { at, portNo, slot, route, packetBytesMax }: RunLocals,
  javascript: Label,
): Statement[] {
  const port = i32.mul(slot.get, i32.const(PORT_BLOCK_BYTES));
  const portWord = (word: number): I32 => i32Memory.load(port, scope.region("ports") + word);
  return [
    portNo.set(entryWord(at, OUT_ENTRY.portNo)),
    brIf(javascript, i32.gt_u(portNo.get, i32.const(0xffff))),
    slot.set(
      i32.sub(
        i32Memory.load16_u(i32.shl(portNo.get, i32.const(1)), scope.region("portNumbers")),
        i32.const(1),
      ),
    ),
    brIf(javascript, i32.lt_s(slot.get, i32.const(0))),
    brIf(javascript, i32.eqz(i32.and(portWord(PORT_BLOCK.flags), i32.const(PORT_UP)))),
    packetBytesMax.set(portWord(PORT_BLOCK.packetBytesMax)),
    route.set(i32.add(scope.thread.txRoutes, i32.mul(slot.get, i32.const(TX_ROUTE_BYTES)))),
  ];
}

function byKind(scope: EmitScope, locals: Locals, run: RunLocals, javascript: Label): Statement[] {
  const kinds: readonly [keyof typeof TX_KIND, TxKindCode][] = [
    ["memory", memoryKind(locals, run)],
    ["afxdp", afxdpKind(scope, locals, run)],
    ["null", nullKind(scope, locals, run)],
  ];
  const kindCount = Math.max(...Object.values(TX_KIND)) + 1;
  // A block for each kind around the table: a branch to its label goes on behind it.
  const nest = (index: number, done: Label, labels: readonly Label[]): readonly Statement[] => {
    if (index < 0) {
      const table = Array.from({ length: kindCount }, (_, value) => {
        const at = kinds.findIndex(([name]) => TX_KIND[name] === value);
        return at < 0 ? javascript : labels[at]!;
      });
      return [brTable(i32Memory.load(run.route.get, TX_ROUTE.kind), [...table, javascript])];
    }
    const [name, code] = kinds[index]!;
    return [
      block(`${name}_port`, (label) => nest(index - 1, done, [label, ...labels])),
      ...sendRun(scope, run, name, code),
      br(done),
    ];
  };
  return [block("sent", (done) => nest(kinds.length - 1, done, []))];
}

/** The run's packets until one is not for this code. */
function sendRun(scope: EmitScope, run: RunLocals, name: string, kind: TxKindCode): Statement[] {
  const { at, end, frame, record, packetBytes, packets, bytes } = run;
  const meta = scope.region("frameMeta");
  const segmentsAndFlags = i32Memory.load(record.get, meta + SEGMENTS_AND_FLAGS);
  return [
    packets.set(i32.const(0)),
    bytes.set(i32.const(0)),
    ...kind.begin,
    block(`${name}_left`, (full) => [
      loop(`${name}_packet`, (next) => [
        frame.set(entryWord(at, OUT_ENTRY.frame)),
        record.set(i32.mul(frame.get, i32.const(FRAME_META_BYTES))),
        packetBytes.set(i32Memory.load(record.get, meta + META32.packetBytes * 4)),
        brIf(full, i32.ne(i32.and(segmentsAndFlags, i32.const(ORDINARY_MASK)), i32.const(ORDINARY))),
        brIf(full, i32.gt_u(packetBytes.get, run.packetBytesMax.get)),
        ...kind.put(full),
        // Whoever takes over from this worker leaves alone what is the queue's.
        i32Memory.store(at.get, i32.const(NO_FRAME), ENGINE.outList + OUT_ENTRY.frame),
        packets.set(i32.add(packets.get, i32.const(1))),
        bytes.set(i32.add(bytes.get, packetBytes.get)),
        brIf(full, i32.eq(at.tee(i32.add(at.get, i32.const(OUT_ENTRY_BYTES))), end.get)),
        brIf(next, i32.eq(entryWord(at, OUT_ENTRY.portNo), run.portNo.get)),
      ]),
    ]),
    ifElse(packets.get, [sequence(...kind.end), ...countRun(scope, run)]),
  ];
}

/** What the queue's flush counts, and that it is to be flushed (memory/tx-route.ts). */
function countRun({ thread }: EmitScope, { route, slot, packets, bytes }: RunLocals): Statement[] {
  const add = (word: number, delta: I32): Statement =>
    i32Memory.store(route.get, i32.add(i32Memory.load(route.get, word), delta), word);
  return [
    add(TX_ROUTE.pendingPackets, packets.get),
    add(TX_ROUTE.pendingBytes, bytes.get),
    ifElse(i32.eqz(i32Memory.load(route.get, TX_ROUTE.isDirty)), [
      i32Memory.store(route.get, i32.const(1), TX_ROUTE.isDirty),
      i32Memory.store(route.get, i32Memory.load(thread.scratch, ENGINE.dirtySlot), TX_ROUTE.nextDirty),
      i32Memory.store(thread.scratch, i32.add(slot.get, i32.const(1)), ENGINE.dirtySlot),
    ]),
  ];
}
