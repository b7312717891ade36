// Miscompilations: what an emitter might do wrong, planted into a program's source or into its text as WebAssembly. Places in
// the text are found by what layouts say, so that a plant that finds none fails its test instead of passing it.
import loadWabt from "wabt";
import { encodeProgram, type ProgramSource } from "../../src/compile/program-module.ts";
import { COUNTER } from "../../src/datapath/counters.ts";
import { DROP } from "../../src/datapath/drop-reason.ts";
import { ACTION } from "../../src/flow/action-numbers.ts";
import { attributes } from "../../src/flow/nlattr.ts";
import type { Arena } from "../../src/memory/arena.ts";
import { BATCH } from "../../src/memory/batch-layout.ts";
import { ENGINE, OUT_ENTRY } from "../../src/memory/engine-layout.ts";
import { THREAD } from "../../src/memory/thread-block.ts";
import { ACTION_HEADER_BYTES } from "../../src/table/action-store.ts";
import { STATS } from "../../src/table/layout.ts";
import { createTestArena } from "../support/dataplane.ts";

const FEATURES = { threads: true, simd: true, bulk_memory: true } as const;

export interface Plant {
  readonly name: string;
  readonly plant: (arena: Arena, source: ProgramSource) => Promise<Uint8Array> | Uint8Array;
}

/** A change of the text of one function, one instruction a line. */
interface TextPlant {
  readonly in: RegExp;
  readonly find: RegExp | string;
  readonly put: string;
  /** Everywhere in the function, not only where it stands first. */
  readonly all?: boolean;
}

type Source = (source: ProgramSource) => ProgramSource;

const fromSource = (name: string, change: Source): Plant => ({
  name,
  plant: (arena, source) => encodeProgram(arena, change(source)),
});

const inText = (name: string, change: (arena: Arena) => TextPlant): Plant => ({
  name,
  plant: async (arena, source) => changeText(encodeProgram(arena, source), change(arena)),
});

async function changeText(bytes: Uint8Array, change: TextPlant): Promise<Uint8Array> {
  const wabt = await loadWabt();
  const module = wabt.readWasm(bytes, { ...FEATURES, readDebugNames: true });
  module.applyNames();
  const lines = module.toText({}).replaceAll(/^ +/gm, "");
  module.destroy();
  const functions = lines.split(/^(?=\(func )/m);
  const index = functions.findIndex((text) => change.in.test(text.split("\n", 1)[0]!));
  const text = functions[index] ?? "";
  const find = typeof change.find === "string" ? change.find : new RegExp(change.find, change.all ? "g" : "");
  const changed = change.all ? text.replaceAll(find, change.put) : text.replace(find, change.put);
  if (changed === text) throw new Error(`no ${change.find} in a function ${change.in}`);
  const parsed = wabt.parseWat("planted", functions.with(index, changed).join(""), FEATURES);
  try {
    return parsed.toBinary({}).buffer;
  } finally {
    parsed.destroy();
  }
}

const offset = (value: number): string => `offset=${value} `;
const ACT = /\$act /;
const PARSE = /\$parse_templates /;
const TRANSMIT_TERMS = /\$act_patch_transport /;
const argument = (arena: Arena, at: number): string =>
  offset(arena.region("actions").offset + ACTION_HEADER_BYTES + at);
const counter = (name: keyof typeof COUNTER): string => offset(THREAD.counters + COUNTER[name] * 8);

function withMask(source: ProgramSource, change: (mask: Uint8Array) => void): ProgramSource {
  const masks = source.masks.map((mask, index) => {
    if (index !== 1) return mask;
    const bytes = mask.bytes.slice();
    change(bytes);
    return { ...mask, bytes };
  });
  return { ...source, masks };
}

const exchange = <Item extends { readonly number: number }>(items: readonly Item[]): Item[] => {
  const [first, second, ...others] = items as [Item, Item, ...Item[]];
  return [{ ...first, number: second.number }, { ...second, number: first.number }, ...others];
};

/** Of the first masked set, one bit of its mask. */
function withSetMask(source: ProgramSource): ProgramSource {
  for (const [index, { list }] of source.shapes.entries())
    for (const action of attributes(list)) {
      if (action.type !== ACTION.setMasked) continue;
      const changed = list.slice();
      changed[action.end - 2]! ^= 1;
      return { ...source, shapes: source.shapes.with(index, { ...source.shapes[index]!, list: changed }) };
    }
  throw new Error("no shape has a masked set");
}

/** Its arena has other seeds of hashes. */
function otherSeeds(sizes: Arena["plan"]["sizes"]): Arena {
  const { arena } = createTestArena(sizes);
  const seed = (arena.region("globals").offset + 512) >>> 2;
  arena.u32[seed]! ^= 1;
  return arena;
}

export const PLANTS: readonly Plant[] = [
  fromSource("a mask with one bit less", (source) =>
    withMask(source, (mask) => {
      const at = mask.findLastIndex((byte) => byte !== 0);
      mask[at] = mask[at]! & (mask[at]! - 1);
    }),
  ),
  fromSource("a mask with one bit more", (source) =>
    withMask(source, (mask) => {
      const at = mask.findIndex((byte, index) => byte === 0 && index > 32);
      mask[at] = 1;
    }),
  ),
  fromSource("numbers of two masks exchanged", (source) => ({ ...source, masks: exchange(source.masks) })),
  fromSource("numbers of two shapes exchanged", (source) => ({ ...source, shapes: exchange(source.shapes) })),
  fromSource("a set that leaves one bit out", withSetMask),
  {
    name: "hash constants of another seed",
    plant: (arena, source) => encodeProgram(otherSeeds(arena.plan.sizes), source),
  },
  inText("misses counted as hits", () => ({
    in: /\$lookup /,
    find: counter("lookup_miss"),
    put: counter("lookup_hit"),
    all: true,
  })),
  inText("hits that are not counted", () => ({
    in: /\$lookup /,
    find: `i64.add\ni64.store ${counter("lookup_hit")}`,
    put: `drop\ni64.store ${counter("lookup_hit")}`,
  })),
  inText("a drop under another reason", () => ({
    in: ACT,
    find: offset(THREAD.drops + DROP.flow_drop * 8),
    put: offset(THREAD.drops + DROP.invalid_port * 8),
    all: true,
  })),
  inText("a copy counted twice", () => ({
    in: ACT,
    find: `i32.const 1\ni64.extend_i32_u\ni64.add\ni64.store ${counter("copied")}`,
    put: `i32.const 2\ni64.extend_i32_u\ni64.add\ni64.store ${counter("copied")}`,
  })),
  inText("statistics of the wrong column", () => ({
    in: ACT,
    find: `i64.load32_u ${offset(BATCH.packetBytes)}`,
    put: `i64.load32_u ${offset(BATCH.l3Offset)}`,
  })),
  inText("stale times of last use", () => ({
    in: ACT,
    find: new RegExp(`i64\\.store ${offset(STATS.usedMillis)}.*`),
    put: "drop\ndrop",
  })),
  inText("TCP flags of the last packet only", () => ({
    in: ACT,
    find: new RegExp(`(i32\\.load ${offset(STATS.tcpFlags)}.*\n.*\n.*\n)i32\\.or`),
    put: "$1i32.and",
  })),
  inText("the wrong argument as port", (arena) => ({
    in: ACT,
    find: argument(arena, 4),
    put: argument(arena, 8),
  })),
  inText("two outputs in the wrong order", (arena) => ({
    in: ACT,
    find: new RegExp(`${argument(arena, 4)}([^]*?)${argument(arena, 12)}`),
    put: `${argument(arena, 12)}$1${argument(arena, 4)}`,
  })),
  inText("outputs to port 1 whatever the list says", () => ({
    in: ACT,
    find: new RegExp(`i32\\.store (${offset(ENGINE.outList + OUT_ENTRY.portNo)})`),
    put: "drop\ni32.const 1\ni32.store $1",
  })),
  inText("a checksum without its carry", () => ({
    in: TRANSMIT_TERMS,
    find: "i32.const 16\ni32.shr_u\ni32.add",
    put: "i32.const 17\ni32.shr_u\ni32.add",
    all: true,
  })),
  inText("a UDP checksum where there was none", () => ({
    in: TRANSMIT_TERMS,
    find: /br_if 1 \(.*\)\nreturn/,
    put: "drop",
  })),
  inText("a transport checksum not kept", () => ({
    in: TRANSMIT_TERMS,
    find: /i32\.store16 .*/,
    put: "drop\ndrop\n)",
  })),
  inText("no check that headers lie in the frame", () => ({
    in: PARSE,
    find: /(local\.get \$data\ni32\.const \d+\ni32\.ge_u\ni32\.eqz\n)br_if.*/,
    put: "$1drop",
  })),
  inText("no check of the IP total length", () => ({
    in: PARSE,
    find: /(i32\.const 65535\ni32\.gt_u\n)br_if.*/,
    put: "$1drop",
  })),
  inText("no check of the TCP header length", () => ({
    in: PARSE,
    find: /(i32\.const 0\ni32\.lt_s\n)br_if.*/,
    put: "$1drop",
  })),
  inText("no check for fragments", () => ({
    in: PARSE,
    find: /(local\.tee \$proto\ni32\.const \d+\ni32\.and\n)br_if.*/,
    put: "$1drop",
  })),
  inText("ports from the wrong offset", (arena) => ({
    in: PARSE,
    find: `v128.load32_zero ${offset(arena.region("frames").offset + 34)}`,
    put: `v128.load32_zero ${offset(arena.region("frames").offset + 36)}`,
  })),
  inText("TCP flags that are not stored", () => ({
    in: PARSE,
    find: new RegExp(`i32\\.store ${offset(BATCH.tcpFlags)}.*`),
    put: "drop\ndrop",
  })),
  inText("what the slot held before stays", () => ({
    in: /\$clear_slots /,
    find: /v128\.store .*/,
    put: "drop\ndrop",
    all: true,
  })),
  inText("a tag pushed one word too far", (arena) => ({
    in: ACT,
    find: `v128.store ${offset(arena.region("frames").offset - 4)}`,
    put: `v128.store ${offset(arena.region("frames").offset - 8)}`,
  })),
  inText("a tag popped that is not there", () => ({
    in: ACT,
    find: /(i32\.const 43144\ni32\.ne\ni32\.and\n)br_if.*/,
    put: "$1drop",
  })),
  inText("frames of drops that are lost", () => ({
    in: ACT,
    find: /(local\.get \$stackCount\ni32\.const 1\ni32\.add\n)i32\.store.*/,
    put: "$1drop\ndrop",
  })),
  inText("a cache that does not see new flows", () => ({
    in: /\$cache_begin /,
    find: /(i32\.load offset=392 align=1\nlocal\.get \$published\n)i32\.eq/,
    put: "$1i32.sub\ni32.eqz\ni32.const 1\ni32.or",
  })),
  inText("a trap", () => ({ in: ACT, find: /local\.get \$batch\n/, put: "unreachable\nlocal.get $batch\n" })),
];
