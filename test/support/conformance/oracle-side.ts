// A case on the real Open vSwitch. All of a case's commands but the first go down the connection at once.
import type { Oracle } from "../oracle.ts";
import { CASE_IN_PORT, type CaseAnswer, type ConformanceCase, maskDump, maskKey } from "./case.ts";

export async function askOracle(oracle: Oracle, { flows, packets }: ConformanceCase): Promise<CaseAnswer> {
  const [, added, , short, verbose] = await Promise.all([
    oracle.delFlows(),
    Promise.all(flows.map(({ flow, actions }) => oracle.addFlow(flow, actions))),
    Promise.all(packets.map((packet) => oracle.receive(CASE_IN_PORT, packet))),
    oracle.dumpFlows(),
    oracle.dumpFlows("-m"),
  ]);
  const upcalls = await oracle.upcalls();
  return {
    refusals: added.map(({ code, text }) => (code === 0 ? null : text.split("\n")[0]!)),
    outputs: [...oracle.outputs()].sort(([left], [right]) => left - right),
    upcalls: upcalls.map(({ kind, key }) => ({ kind, key: maskKey(key) })),
    dumps: { short: short.map(maskDump).sort(), verbose: verbose.map(maskDump).sort() },
  };
}
