// Packets between numbered hosts, and the checks that every test of the handler ends with.
import { buildFrame } from "../../src/packet/builder.ts";
import { ethernet } from "../../src/packet/builder-link.ts";
import { ipv4 } from "../../src/packet/builder-network.ts";
import { udp } from "../../src/packet/builder-transport.ts";
import type { DummyPort } from "../../src/port/dummy/driver.ts";
import type { HandlerRig } from "./rig.ts";

const mac = (host: number): string =>
  `02:00:00:00:${(host >> 8).toString(16).padStart(2, "0")}:${(host & 255).toString(16).padStart(2, "0")}`;

export const packet = (from: number, to: number, payloadBytes = 20): Uint8Array =>
  buildFrame(
    [
      ethernet({ src: mac(from), dst: mac(to) }),
      ipv4({ src: `10.0.0.${from & 255}`, dst: "10.0.0.2" }),
      udp({ src: 1000, dst: 53 }),
    ],
    new Uint8Array(payloadBytes).fill(from),
  );

export const counts = (ports: readonly DummyPort[]): number[] => ports.map((port) => port.take().length);

interface Checks {
  equal(found: unknown, wanted: unknown, message: string): unknown;
}

/** The end of every test: nothing lost, nothing held. */
export async function end(t: Checks, rig: HandlerRig): Promise<void> {
  t.equal(rig.imbalance(), 0, "the books balance");
  t.equal(rig.core.handler.isIdle, true, "nothing is left in the rings");
  t.equal(await rig.close(), 0, "every frame is free");
}
