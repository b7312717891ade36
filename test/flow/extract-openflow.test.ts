// Extraction against `ovs-ofctl parse-pcap`, which runs OVS's own extraction over a capture: thousands of random
// frames in one run of the real program, and the packets of OVS's tests/flowgen.py with the answers kept beside the
// repository.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import t from "tap";
import { VLAN_TAGS_MAX } from "../../src/flow/extract.ts";
import { KeyExtractor } from "../../src/flow/extract-key.ts";
import { formatOpenFlow, IN_PORT_ANY } from "../../src/flow/openflow/format.ts";
import { openCapture } from "../../src/packet/capture-reader.ts";
import { PcapWriter } from "../../src/packet/pcap-writer.ts";
import { corporaSkipReason, corpusPath, readCorpusLines } from "../support/corpora.ts";
import { anyFrame } from "../support/frames.ts";
import { SEED } from "../support/seed.ts";
import { hostileFrame, paddedFrame } from "./hostile-frames.ts";
import { OFP10_MATCH_BYTES, packOfp10Match } from "./openflow-match.ts";

/** parse-pcap takes packets of 1 to 65,535 bytes. */
const PARSE_PCAP_BYTES_MAX = 65535;
const OUTPUT_BYTES_MAX = 64 << 20;
const DIFFERENCES_SHOWN = 5;

function ofctlSkipReason(): string | false {
  return spawnSync("ovs-ofctl", ["--version"]).error === undefined ? false : "ovs-ofctl is not installed";
}

/** What the real ovs-ofctl prints for each frame. */
function parsePcap(frames: readonly Uint8Array[]): string[] {
  const folder = mkdtempSync(join(tmpdir(), `millrace-extract-${process.pid}-`));
  try {
    const file = join(folder, "frames.pcap");
    const pieces: Uint8Array[] = [];
    const writer = new PcapWriter((bytes) => pieces.push(bytes.slice()), { resolution: "micro" });
    for (const frame of frames) writer.write(0, 0, 0, frame.length, frame, 0, frame.length);
    writer.flush();
    writeFileSync(file, Buffer.concat(pieces));
    const output = execFileSync("ovs-ofctl", ["parse-pcap", file], { maxBuffer: OUTPUT_BYTES_MAX });
    return output.toString().split("\n").slice(0, -1);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

t.test(
  "random frames, printed as ovs-ofctl parse-pcap prints them",
  { skip: ofctlSkipReason() },
  async (t) => {
    const frames = [
      ...fc.sample(hostileFrame, { seed: SEED, numRuns: 4000 }),
      ...fc.sample(anyFrame(), { seed: SEED, numRuns: 4000 }),
      ...fc.sample(paddedFrame(255, 256, 1400, 60000), { seed: SEED, numRuns: 40 }),
    ].filter(({ length }) => length > 0 && length <= PARSE_PCAP_BYTES_MAX);
    const answers = parsePcap(frames);
    t.equal(answers.length, frames.length, "an answer for each frame");
    // ovs-ofctl has no vlan-limit: it parses as many tags as the key holds.
    const extractor = new KeyExtractor(VLAN_TAGS_MAX);
    const differences = frames.flatMap((frame, index) => {
      const line = formatOpenFlow(extractor.extract(frame, IN_PORT_ANY));
      if (line === answers[index]) return [];
      return [{ frame: Buffer.from(frame).toString("hex"), ovs: answers[index], ours: line }];
    });
    t.strictSame(differences.slice(0, DIFFERENCES_SHOWN), [], `${frames.length} frames`);
  },
);

t.test("the packets of OVS's flowgen.py", { skip: corporaSkipReason() }, async (t) => {
  const capture = readFileSync(corpusPath("extract/flowgen.pcap")!);
  const matches = readFileSync(corpusPath("extract/flowgen.ofp10_match")!);
  const lines = readCorpusLines("extract/flowgen.parse-pcap.txt")!;
  const reader = openCapture("flowgen.pcap", capture);
  const twoTags = new KeyExtractor(VLAN_TAGS_MAX);
  let index = 0;
  for (let packet = reader.next(); packet !== undefined; packet = reader.next()) {
    const frame = reader.bytes.subarray(packet.dataOffset, packet.dataOffset + packet.dataBytes);
    t.equal(formatOpenFlow(twoTags.extract(frame, IN_PORT_ANY)), lines[index], `line ${index + 1}`);
    const match = matches.subarray(index * OFP10_MATCH_BYTES, (index + 1) * OFP10_MATCH_BYTES);
    t.strictSame(packOfp10Match(twoTags.extract(frame, 1)), new Uint8Array(match), `match ${index + 1}`);
    index++;
  }
  reader.finish();
  t.equal(index, lines.length);
  t.equal(index * OFP10_MATCH_BYTES, matches.length);
});
