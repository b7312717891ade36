// Bonds of a switch without a configuration: of ports that have no names but their numbers.

import * as v from "valibot";
import type { BondMode, BondSettings } from "../bridge/bond/bond.ts";
import { bondSchema, bondSettings } from "./config/bonds.ts";

export interface OfflineBond {
  readonly mode: BondMode;
  readonly usesLbOutput: boolean;
  readonly portNos: readonly number[];
}

export const offlinePortName = (portNo: number): string => `port${portNo}`;

/** Numbered from 1 in their order; what is not said is as in a configuration. */
export function offlineBondSettings(bonds: readonly OfflineBond[]): BondSettings[] {
  return bondSettings(
    bonds.map(({ mode, usesLbOutput, portNos }, index) =>
      v.parse(bondSchema, {
        name: `bond${index + 1}`,
        members: portNos.map(offlinePortName),
        mode,
        "lb-output-action": usesLbOutput,
      }),
    ),
  );
}
