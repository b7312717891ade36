// The handler with its policy and its table, whoever runs it: a thread of its own (handler-loop.ts), or a switch in one
// thread (offline-switch.ts).
import { BondTable } from "../action/bond-table.ts";
import type { BondSettings } from "../bridge/bond/bond.ts";
import { BondPolicy } from "../bridge/bond/bond-policy.ts";
import { Bonds } from "../bridge/bond/bonds.ts";
import type { LinkState } from "../bridge/bond/member.ts";
import { FlowsPolicy } from "../bridge/flows-policy.ts";
import { LearnPolicy } from "../bridge/learn/learn-policy.ts";
import type { PortVlan } from "../bridge/learn/vlan.ts";
import { TunnelPolicy } from "../bridge/tunnel-policy.ts";
import type { Arena } from "../memory/arena.ts";
import type { Clock } from "../memory/clock.ts";
import { EpochWriter } from "../memory/epoch.ts";
import { ObservedTable } from "../table/observed-table.ts";
import type { Neighbour } from "../tunnel/neighbours.ts";
import { Handler } from "../upcall/handler.ts";
import type { Config } from "./config/schema.ts";

export interface HandlerCore {
  readonly handler: Handler;
  readonly table: ObservedTable;
  /** Null under a policy that does not learn. */
  readonly learn: LearnPolicy | null;
  readonly bonds: Bonds;
  readonly tunnels: TunnelPolicy;
}

/** What the policy has to know of a port that opens. */
export interface PortNews extends LinkState {
  readonly portNo: number;
  readonly name: string;
  /** Of a port that is no member of a bond. */
  readonly vlan: PortVlan;
}

/** Who wants to know what. */
export interface HandlerListeners {
  /** A neighbour of a tunnel endpoint told its address. */
  readonly onLearned?: (neighbour: Neighbour) => void;
  /** What became of a bond, in words. */
  readonly onBondNotice?: (text: string) => void;
}

export function createHandlerCore(
  arena: Arena,
  policyConfig: Config["policy"],
  clock: Clock,
  debugLedger: boolean,
  bondSettings: readonly BondSettings[] = [],
  { onLearned, onBondNotice }: HandlerListeners = {},
): HandlerCore {
  const epochs = new EpochWriter(arena);
  const table = new ObservedTable(arena, epochs);
  const bonds = new Bonds(bondSettings, new BondTable(arena), onBondNotice);
  const learn =
    policyConfig.type === "learn"
      ? new LearnPolicy({
          macAgingMillis: policyConfig["mac-aging-seconds"] * 1000,
          macTableSize: policyConfig["mac-table-size"],
          bonds,
        })
      : null;
  const inner = learn ?? new FlowsPolicy(policyConfig["miss-pid"]);
  const tunnels = new TunnelPolicy(new BondPolicy(bonds, inner));
  const handler = new Handler({
    arena,
    table,
    epochs,
    policy: tunnels,
    clock,
    debugLedger,
    flowIdleMillis: policyConfig["flow-idle-millis"],
    flowLimit: policyConfig["flow-limit"],
    ...(onLearned === undefined ? {} : { onLearned }),
  });
  return { handler, table, learn, bonds, tunnels };
}

type Policies = Pick<HandlerCore, "bonds" | "learn">;

export function openPort({ bonds, learn }: Policies, news: PortNews, nowMillis: number): void {
  const { portNo, name, vlan } = news;
  if (!bonds.openPort(portNo, name, news, nowMillis)) learn?.setPort(portNo, vlan);
}

export function closePort({ bonds, learn }: Policies, portNo: number, nowMillis: number): void {
  if (!bonds.closePort(portNo, nowMillis)) learn?.removePort(portNo);
}
