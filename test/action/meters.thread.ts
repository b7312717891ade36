// A worker's share of a meter: bursts of 64 packets over so many seconds of a clock that the packets drive.
import { Meters } from "../../src/action/meters.ts";
import { runThread } from "../support/threads.ts";

export interface MeterThreadOptions {
  readonly meter: number;
  readonly packetCount: number;
  readonly seconds: number;
}

export interface MeterThreadResult {
  readonly passed: number;
}

runThread<MeterThreadOptions>(({ arena, options }) => {
  const { meter, packetCount, seconds } = options;
  const now = new Float64Array([1000]);
  const meters = new Meters(arena, now);
  let passed = 0;
  for (let packet = 0; packet < packetCount; packet += 1) {
    if ((packet & 63) === 0) {
      meters.settle();
      now[0] = 1000 + (packet / packetCount) * seconds * 1000;
    }
    if (meters.admits(meter, 64)) passed += 1;
  }
  meters.settle();
  const result: MeterThreadResult = { passed };
  return result;
});
