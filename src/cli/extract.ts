// `millrace extract FILE.pcap`: the flow key of each packet of a capture, one line each.
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { Command, InvalidArgumentError, Option } from "commander";
import type { ProgressListener } from "../control/progress.ts";
import { VLAN_LIMIT_DEFAULT, VLAN_TAGS_MAX, vlanTagCount } from "../flow/extract.ts";
import { KeyExtractor } from "../flow/extract-key.ts";
import { formatPacketKey } from "../flow/odp/format-packet.ts";
import { formatOpenFlow, IN_PORT_ANY } from "../flow/openflow/format.ts";
import { CaptureError, type CaptureReader, LINK_TYPE_ETHERNET } from "../packet/capture.ts";
import { openCapture } from "../packet/capture-reader.ts";
import { EXIT, ExitError } from "./exit-code.ts";
import { Progress, type ProgressOptions, withProgressOptions } from "./progress.ts";

const CHUNK_BYTES = 1 << 16;
/** Largest in_port: 0xffffffff stands for "no port". */
const IN_PORT_MAX = IN_PORT_ANY - 1;

type Format = "odp" | "openflow";

interface ExtractOptions extends ProgressOptions {
  readonly inPort?: number;
  readonly vlanLimit?: number;
  readonly format: Format;
}

export function extractCommand(): Command {
  return withProgressOptions(new Command("extract"))
    .description("print the flow key of each packet of a capture (pcap or pcapng), one line a packet")
    .argument("<file>", "capture of Ethernet frames")
    .option("--in-port <n>", "port that the packets come in on; none if not given", wholeNumber(IN_PORT_MAX))
    .option(
      "--vlan-limit <n>",
      `tags that are parsed, 0 for all ${VLAN_TAGS_MAX}; ${VLAN_LIMIT_DEFAULT} if not given as in OVS, ` +
        `${VLAN_TAGS_MAX} for openflow as in ovs-ofctl`,
      wholeNumber(VLAN_TAGS_MAX),
    )
    .addOption(
      new Option("--format <format>", "odp as ovs-dpctl prints keys, openflow as ovs-ofctl parse-pcap does")
        .choices(["odp", "openflow"])
        .default("odp"),
    )
    .action((file: string, options: ExtractOptions) => printKeys(file, options));
}

function wholeNumber(most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !Number.isInteger(value) || value < 0 || value > most) {
      throw new InvalidArgumentError(`expected a whole number from 0 to ${most}`);
    }
    return value;
  };
}

/** @throws ExitError when the file cannot be read or is no capture of Ethernet frames */
function printKeys(file: string, options: ExtractOptions): void {
  const { inPort = IN_PORT_ANY, format } = options;
  const vlanLimit = options.vlanLimit ?? (format === "odp" ? VLAN_LIMIT_DEFAULT : VLAN_TAGS_MAX);
  const extractor = new KeyExtractor(vlanLimit);
  const print = (key: Uint8Array): string =>
    format === "odp" ? formatPacketKey(key, vlanTagCount(vlanLimit)) : formatOpenFlow(key);
  const progress = new Progress(options);
  // Both streams on one terminal: the keys are what is to be seen.
  const onProgress = process.stdout.isTTY ? () => undefined : progress.show;
  try {
    for (const packets of capturedPackets(file, onProgress)) {
      const lines = packets.map((packet) => `${print(extractor.extract(packet, inPort))}\n`);
      process.stdout.write(lines.join(""));
    }
  } catch (error) {
    if (error instanceof CaptureError) throw new ExitError(EXIT.badData, error.message);
    throw error;
  } finally {
    progress.end();
  }
}

/** The packets of a capture, in groups as the file's chunks bring them. A packet is good until the next group. */
function* capturedPackets(file: string, onProgress: ProgressListener): Generator<Uint8Array[]> {
  const descriptor = openFile(file);
  try {
    // 0 for a pipe, whose end nobody knows.
    const total = fstatSync(descriptor).size;
    let done = 0;
    const chunk = new Uint8Array(CHUNK_BYTES);
    let reader: CaptureReader | undefined;
    for (let count = readSync(descriptor, chunk); count > 0; count = readSync(descriptor, chunk)) {
      done += count;
      onProgress({ doing: "extract", done, total, unit: "bytes" });
      if (reader === undefined) reader = openCapture(file, chunk.subarray(0, count));
      else reader.feed(chunk.subarray(0, count));
      yield wholePackets(file, reader);
    }
    if (reader === undefined)
      throw new ExitError(EXIT.badData, `${file}: the file is empty, expected a capture`);
    reader.finish();
  } finally {
    closeSync(descriptor);
  }
}

function openFile(file: string): number {
  try {
    return openSync(file, "r");
  } catch (error) {
    throw new ExitError(EXIT.badData, `extract: cannot open the capture: ${(error as Error).message}`);
  }
}

function wholePackets(file: string, reader: CaptureReader): Uint8Array[] {
  const packets: Uint8Array[] = [];
  for (let packet = reader.next(); packet !== undefined; packet = reader.next()) {
    const linkType = reader.interfaces[packet.interfaceIndex]?.linkType;
    if (linkType !== LINK_TYPE_ETHERNET) {
      throw new ExitError(
        EXIT.badData,
        `${file}: interface ${packet.interfaceIndex} has link type ${linkType}; ` +
          `keys are extracted from Ethernet frames, link type ${LINK_TYPE_ETHERNET}`,
      );
    }
    packets.push(reader.bytes.subarray(packet.dataOffset, packet.dataOffset + packet.dataBytes));
  }
  return packets;
}
