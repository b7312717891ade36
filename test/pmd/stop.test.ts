// A switch that is stopped while every one of many ports is loaded: what was received leaves or is dropped under a
// reason, and no ring, queue or hand keeps a frame.
import t from "tap";
import { LiveSwitch } from "../support/live-switch.ts";
import { numberedFrame } from "../support/numbered-frame.ts";

const PORTS = 24;
const PACKETS = 400;

t.test("many loaded ports", async (t) => {
  const live = new LiveSwitch({ workerCount: 2, frameCount: 16384, kernelRingBytes: 8 << 20 });
  await live.supervisor.start();
  const ports = [];
  for (let index = 0; index < PORTS; index += 1) ports.push(await live.addDummy(`p${index}`));
  const frame = numberedFrame(1);
  for (const [index, { portNo }] of ports.entries()) {
    const next = ports[(index + 1) % PORTS]!.portNo;
    const far = ports[(index + 7) % PORTS]!.portNo;
    live.putFlow(frame, portNo, `${next},${far}`, ["in_port"]);
  }
  for (let packet = 0; packet < PACKETS; packet += 1) for (const port of ports) port.inject(frame);
  await live.until("packets move", () => live.totals().counters.received > 0);
  const started = performance.now();
  await live.stop();
  t.comment(`stopped ${Math.round(performance.now() - started)} ms after it was asked`);
  const { received } = live.totals().counters;
  t.comment(`${received} of ${PORTS * PACKETS} packets were received by then`);
  t.strictSame(live.framesInUse(), [], "every frame is free");
  const books = live.books();
  t.ok(books.in > 0);
  t.equal(books.in, books.out, "the books balance");
});
