// The demo without root: two capture files go through the switch with the learning policy, a third shows what came out.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { buildFrame } from "../src/packet/builder.ts";
import { arp, ethernet } from "../src/packet/builder-link.ts";
import { ipv4 } from "../src/packet/builder-network.ts";
import { udp } from "../src/packet/builder-transport.ts";
import { PcapWriter } from "../src/packet/pcap-writer.ts";

const CLI = resolve(import.meta.dirname, "../src/cli/millrace.js");
const PACKETS = 1000;
const HOSTS = [
  { mac: "02:00:00:00:00:01", ip: "10.9.0.1" },
  { mac: "02:00:00:00:00:02", ip: "10.9.0.2" },
] as const;

/** @param keep the captures stay @throws Error naming the step that failed */
export function runCaptureDemo(keep: boolean): void {
  const folder = mkdtempSync(join(tmpdir(), "millrace-demo-"));
  // Ctrl-C ends the step that runs, whose failure removes the folder.
  process.once("SIGINT", () => undefined);
  try {
    const files = [0, 1].map((side) => {
      const file = join(folder, `host${side + 1}.pcap`);
      writeFileSync(file, hostCapture(side));
      return file;
    });
    const out = join(folder, "out.pcap");
    console.log(
      `Two captures of ${PACKETS} packets each are replayed on ports 1 and 2; port 2's output is kept.\n`,
    );
    const args = [
      "replay",
      "--in",
      `1=${files[0]}`,
      "--in",
      `2=${files[1]}`,
      "--policy",
      "learn",
      "--out",
      `2=${out}`,
    ];
    const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], { encoding: "utf8" });
    console.log(stdout);
    if (status !== 0) throw new Error(`replay failed with code ${status}: ${stderr.trim()}`);
    const bytes = readFileSync(out).length;
    console.log(`Output of port 2: ${bytes} bytes; its first packets:`);
    const extract = spawnSync(process.execPath, [CLI, "extract", out], { encoding: "utf8" });
    console.log(
      extract.stdout
        .split("\n")
        .slice(0, 3)
        .map((line) => `  ${line}`)
        .join("\n"),
    );
    if (extract.status !== 0) throw new Error(`extract failed: ${extract.stderr.trim()}`);
    console.log(
      keep ? `\nKept: ${files.join(", ")} and ${out}` : "\nnpm start -- --keep leaves the captures.",
    );
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  if (!keep) rmSync(folder, { recursive: true, force: true });
}

/** An ARP request, then UDP to the other host, a packet each millisecond. */
function hostCapture(side: number): Uint8Array {
  const chunks: Uint8Array[] = [];
  const writer = new PcapWriter((bytes) => chunks.push(bytes.slice()));
  const own = HOSTS[side]!;
  const peer = HOSTS[1 - side]!;
  for (let index = 0; index < PACKETS; index += 1) {
    const frame =
      index === 0
        ? buildFrame([
            ethernet({ src: own.mac, dst: "ff:ff:ff:ff:ff:ff" }),
            arp({ operation: 1, sha: own.mac, spa: own.ip, tpa: peer.ip }),
          ])
        : buildFrame(
            [
              ethernet({ src: own.mac, dst: peer.mac }),
              ipv4({ src: own.ip, dst: peer.ip }),
              udp({ src: 1000 + (index % 8), dst: 7 }),
            ],
            new Uint8Array(22),
          );
    writer.write(0, 1, index * 1_000_000 + side * 500_000, frame.length, frame, 0, frame.length);
  }
  writer.flush();
  return Buffer.concat(chunks);
}
