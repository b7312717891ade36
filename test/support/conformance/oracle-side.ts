// A case on the real Open vSwitch. All of a case's commands but the first go down the connection at once.
import type { Oracle } from "../oracle.ts";
import {
  CASE_IN_PORT,
  type CaseAnswer,
  type ConformanceCase,
  maskDump,
  maskKey,
  type PortCounts,
  portCountTexts,
} from "./case.ts";

/** What the ports had counted before a case, by the oracle that is asked. */
const countedBefore = new WeakMap<Oracle, readonly PortCounts[]>();

export async function askOracle(oracle: Oracle, { flows, packets }: ConformanceCase): Promise<CaseAnswer> {
  const before = countedBefore.get(oracle) ?? (await oracle.portCounts());
  const [, added, , short, verbose, counts] = await Promise.all([
    oracle.delFlows(),
    Promise.all(flows.map(({ flow, actions }) => oracle.addFlow(flow, actions))),
    Promise.all(packets.map((packet) => oracle.receive(CASE_IN_PORT, packet))),
    oracle.dumpFlows(),
    oracle.dumpFlows("-m"),
    oracle.portCounts(),
  ]);
  countedBefore.set(oracle, counts);
  const upcalls = await oracle.upcalls();
  return {
    refusals: added.map(({ code, text }) => (code === 0 ? null : text.split("\n")[0]!)),
    outputs: [...oracle.outputs()].sort(([left], [right]) => left - right),
    upcalls: upcalls.map((upcall) => ({ ...upcall, key: maskKey(upcall.key) })),
    ports: portCountTexts(counts, before),
    dumps: { short: short.map(maskDump).sort(), verbose: verbose.map(maskDump).sort() },
  };
}
