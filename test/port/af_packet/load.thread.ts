// The thread of a BackgroundLoad: a burst of numbered frames of many conversations every millisecond.
import { workerData } from "node:worker_threads";
import { numberedFrame } from "../../support/numbered-frame.ts";
import { Peer } from "../../support/peer.ts";
import type { LoadOptions } from "./load.ts";

const BURST = 16;
const PAUSE_MILLIS = 1;
const CONVERSATIONS = 50;

const { end, stop } = workerData as LoadOptions;
const peer = new Peer(end);
for (let number = 0; Atomics.wait(stop, 0, 0, PAUSE_MILLIS) === "timed-out"; number += BURST) {
  peer.send(
    Array.from({ length: BURST }, (_, index) =>
      numberedFrame(number + index, (number + index) % CONVERSATIONS),
    ),
  );
}
peer.close();
