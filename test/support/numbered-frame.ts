// UDP frames that carry a number, so that a test sees which of them arrived and in which order.
import { buildFrame } from "../../src/packet/builder.ts";
import { ethernet } from "../../src/packet/builder-link.ts";
import { ipv4 } from "../../src/packet/builder-network.ts";
import { udp } from "../../src/packet/builder-transport.ts";

const PAYLOAD_AT = 14 + 20 + 8;

/** @param conversation tells flows apart: the UDP source port */
export function numberedFrame(number: number, conversation = 1, payloadBytes = 18): Uint8Array {
  const payload = new Uint8Array(Math.max(4, payloadBytes));
  new DataView(payload.buffer).setUint32(0, number);
  return buildFrame(
    [ethernet(), ipv4({ src: "10.0.0.1", dst: "10.0.0.2" }), udp({ src: conversation, dst: 53 })],
    payload,
  );
}

const view = (frame: Uint8Array): DataView => new DataView(frame.buffer, frame.byteOffset, frame.byteLength);

/** Works for frames that came out as they went in. */
export const numberOf = (frame: Uint8Array): number => view(frame).getUint32(PAYLOAD_AT);
export const conversationOf = (frame: Uint8Array): number => view(frame).getUint16(14 + 20);
