// netdev-dummy/receive: packets that a dummy port receives, as hex or as the text of a flow. A flow's
// text becomes a packet of that flow, with lengths and checksums of its own.
import { composeFrame } from "../../flow/compose.ts";
import { parseExactKeyText } from "../../flow/odp/parse-key.ts";
import { OdpSyntaxError } from "../../flow/odp/text-cursor.ts";
import { keyFromAttributes } from "../../flow/odp/to-key.ts";
import { PACKET_BYTES_MAX } from "../../memory/frame-layout.ts";
import { hexToBytes } from "../../packet/bytes.ts";
import { ETH } from "../../packet/link-headers.ts";
import { isDummyPort } from "../../port/dummy/driver.ts";
import { type Command, CommandError, UNLIMITED } from "../command.ts";
import type { SwitchView } from "../switch-view.ts";
import { answer } from "./answer.ts";

/** Both tags, whatever the datapath's own limit: the text tells the packet. */
const VLAN_LIMIT_MAX = 2;

export function dummyCommands(view: SwitchView): Command[] {
  return [
    {
      name: "netdev-dummy/receive",
      usage: "name [--qid queue_id] packet|flow [--len packet_len]",
      summary: "let a dummy port receive packets, one or more",
      argumentCountMin: 2,
      argumentCountMax: UNLIMITED,
      run: ([name, ...args]) => {
        const port = view.ports.byName(name!);
        if (port === undefined || !isDummyPort(port)) throw new CommandError("no such dummy netdev");
        const { queue, packets } = parseArguments(args);
        if (queue >= port.rxqCount) throw new CommandError("bad rx queue id.");
        const numbers = new Map(view.ports.list().map(({ spec, portNo }) => [spec.name, portNo]));
        // All are read before the first is received.
        const frames = packets.map(({ text, frameBytes }) => readPacket(text, frameBytes, numbers));
        const receivedCount = frames.filter((frame) => port.inject(frame, queue)).length;
        if (receivedCount < frames.length) {
          const lostCount = frames.length - receivedCount;
          throw new CommandError(
            `${name}: ${lostCount} of ${frames.length} packets dropped: ` +
              "its receive queue or the frame pool is full; send fewer at once",
          );
        }
        return answer("", { received: receivedCount });
      },
    },
  ];
}

interface PacketText {
  readonly text: string;
  /** 0 when --len does not follow. */
  readonly frameBytes: number;
}

function parseArguments(args: readonly string[]): { queue: number; packets: PacketText[] } {
  let queue = 0;
  const packets: PacketText[] = [];
  for (let index = 0; index < args.length; index += 1) {
    const arg = args[index]!;
    if (arg === "--qid") queue = wholeNumber("--qid", args[++index]);
    else if (arg === "--len") {
      const last = packets.pop();
      if (last === undefined) throw new CommandError("syntax error at --len");
      packets.push({ ...last, frameBytes: wholeNumber("--len", args[++index]) });
    } else packets.push({ text: arg, frameBytes: 0 });
  }
  if (packets.length === 0) throw new CommandError("a packet is expected, as hex or as a flow");
  return { queue, packets };
}

function wholeNumber(option: string, text: string | undefined): number {
  if (text === undefined || !/^\d{1,9}$/.test(text)) {
    throw new CommandError(`${option} takes a whole number, not "${text ?? ""}"`);
  }
  return Number(text);
}

/** Hex is tried first, as in OVS: no flow's text is hex digits alone. */
function readPacket(text: string, frameBytes: number, numbers: ReadonlyMap<string, number>): Uint8Array {
  if (/^[0-9a-fA-F\s]+$/.test(text)) {
    const digits = text.replace(/\s/g, "");
    if (digits.length % 2 !== 0 || digits.length / 2 < ETH.headerBytes) {
      throw new CommandError(`syntax error at ${text}`);
    }
    if (digits.length / 2 > PACKET_BYTES_MAX) {
      throw new CommandError(`a packet of ${digits.length / 2} bytes, ${PACKET_BYTES_MAX} are the most`);
    }
    return hexToBytes(digits);
  }
  try {
    const { fit, key, problem } = keyFromAttributes(parseExactKeyText(text, numbers), {
      vlanLimit: VLAN_LIMIT_MAX,
    });
    // What is missing is zero, as in OVS.
    if (fit === "error") throw new CommandError(`${text}: ${problem?.rule}; accepted: ${problem?.accepted}`);
    if (frameBytes > PACKET_BYTES_MAX) {
      throw new CommandError(`--len ${frameBytes}: ${PACKET_BYTES_MAX} bytes are the most`);
    }
    return composeFrame(key, frameBytes);
  } catch (error) {
    if (error instanceof OdpSyntaxError) throw new CommandError(`syntax error at ${error.rest}`);
    if (error instanceof RangeError) throw new CommandError(error.message);
    throw error;
  }
}
