// --bond MODE=PORT,PORT...: a bond of ports of a command that runs without a daemon.
import { InvalidArgumentError } from "commander";
import { BOND_MODES } from "../bridge/bond/bond.ts";
import type { OfflineBond } from "../control/offline-bonds.ts";
import { PORT_NO_MAX } from "../port/port.ts";

/** balance-tcp by lb_output in place of a hash and a recirculation. */
const LB_OUTPUT = "lb-output";
const MODES = [...BOND_MODES, LB_OUTPUT] as const;

export const BOND_OPTION = "--bond <mode=port,port...>";
export const BOND_HELP = `ports that are one bond, ${MODES.join(", ")}; any number of times, numbered from 1`;

export function collectBond(text: string, before: readonly OfflineBond[]): OfflineBond[] {
  const [, name, list] = /^([a-z-]+)=(\d{1,5}(?:,\d{1,5})+)$/.exec(text) ?? [];
  const mode = MODES.find((each) => each === name);
  const portNos = list?.split(",").map(Number) ?? [];
  if (mode === undefined || portNos.some((portNo) => portNo > PORT_NO_MAX))
    throw new InvalidArgumentError(
      `MODE=PORT,PORT is expected, MODE one of ${MODES.join(", ")}, PORT a number up to ${PORT_NO_MAX}`,
    );
  const taken = [...before.flatMap((bond) => bond.portNos), ...portNos];
  const doubled = taken.find((portNo, index) => taken.indexOf(portNo) !== index);
  if (doubled !== undefined) throw new InvalidArgumentError(`port ${doubled} is named twice`);
  const usesLbOutput = mode === LB_OUTPUT;
  return [...before, { mode: usesLbOutput ? "balance-tcp" : mode, usesLbOutput, portNos }];
}
