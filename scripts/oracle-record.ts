// Asks the installed Open vSwitch for the answers in test/oracle: keys of random packets, and what random
// flows and actions do to them. The rows follow from the seed; run it again only to get other or more rows.
//
//   node build/scripts/oracle-record.js [--seed N]

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { program } from "commander";
import fc from "fast-check";
import { bytesToHex } from "../src/packet/bytes.ts";
import { REPOSITORY_ROOT } from "../test/support/corpora.ts";
import { anyFrame, validFrame } from "../test/support/frames.ts";
import { Oracle, oracleSkipReason } from "../test/support/oracle.ts";
import { actionsFor, flowFor } from "../test/support/oracle-flow.ts";
import {
  askActions,
  askKeys,
  type RecordedActions,
  type RecordedExtract,
} from "../test/support/oracle-rows.ts";
import { SeededRandom } from "../test/support/random.ts";

const SEED_DEFAULT = 20_251;
/** Keeps the files together below 400 KB. */
const EXTRACT_ROWS = { 1: 380, 2: 100 } as const;
const ACTION_ROWS = 420;
const PACKET_BYTES_MAX = 160;
/** More packets are drawn than rows kept: long ones and equal ones fall out. */
const DRAW_FACTOR = 4;

function drawPackets(arbitrary: fc.Arbitrary<Uint8Array>, seed: number, count: number): string[] {
  const drawn = fc.sample(arbitrary, { seed, numRuns: count * DRAW_FACTOR });
  const short = drawn.filter((frame) => frame.length <= PACKET_BYTES_MAX).map((frame) => bytesToHex(frame));
  return [...new Set(short)].slice(0, count);
}

async function recordExtract(seed: number, vlanLimit: 1 | 2): Promise<RecordedExtract[]> {
  const packets = drawPackets(anyFrame({ payloadBytesMax: 12 }), seed + vlanLimit, EXTRACT_ROWS[vlanLimit]);
  const oracle = await Oracle.start({ vlanLimit });
  try {
    const keys = await askKeys(oracle, packets);
    return packets.map((hex, index) => ({ vlanLimit, hex, key: keys[index]! }));
  } finally {
    oracle.stop();
  }
}

async function recordActions(seed: number): Promise<RecordedActions[]> {
  const frames = fc.oneof({ weight: 4, arbitrary: validFrame({ payloadBytesMax: 24 }) }, anyFrame());
  const packets = drawPackets(frames, seed + 3, ACTION_ROWS);
  const random = new SeededRandom(seed);
  const oracle = await Oracle.start();
  try {
    const keys = await askKeys(oracle, packets);
    const rows: RecordedActions[] = [];
    for (const [index, packet] of packets.entries()) {
      const key = keys[index]!;
      const flow = flowFor(key);
      if (flow === undefined) continue;
      rows.push(await askActions(oracle, packet, flow, actionsFor(key, random, oracle.portCount)));
    }
    return rows;
  } finally {
    oracle.stop();
  }
}

function writeRows(name: string, rows: readonly object[]): void {
  const path = join(REPOSITORY_ROOT, "test", "oracle", name);
  const text = rows.map((row) => `${JSON.stringify(row)}\n`).join("");
  writeFileSync(path, text);
  process.stdout.write(`${path}: ${rows.length} rows, ${text.length} bytes\n`);
}

program
  .option("--seed <number>", "what packets, flows and actions follow from", String(SEED_DEFAULT))
  .parse();
const seed = Number(program.opts<{ seed: string }>().seed);
if (!Number.isInteger(seed)) program.error(`--seed ${program.opts()["seed"]}: expected an integer`);
const missing = oracleSkipReason();
if (missing !== false) program.error(`${missing}; install openvswitch-switch`);
writeRows("extract.jsonl", [...(await recordExtract(seed, 1)), ...(await recordExtract(seed, 2))]);
writeRows("actions.jsonl", await recordActions(seed));
