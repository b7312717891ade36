// The handler with its policy and its table, whoever runs it: a thread of its own (handler-loop.ts), or a switch in one
// thread (offline-switch.ts).
import { FlowsPolicy } from "../bridge/flows-policy.ts";
import { LearnPolicy } from "../bridge/learn/learn-policy.ts";
import type { Arena } from "../memory/arena.ts";
import type { Clock } from "../memory/clock.ts";
import { EpochWriter } from "../memory/epoch.ts";
import { ObservedTable } from "../table/observed-table.ts";
import { Handler } from "../upcall/handler.ts";
import type { Config } from "./config/schema.ts";

export interface HandlerCore {
  readonly handler: Handler;
  readonly table: ObservedTable;
  /** Null under a policy that does not learn. */
  readonly learn: LearnPolicy | null;
}

export function createHandlerCore(
  arena: Arena,
  policyConfig: Config["policy"],
  clock: Clock,
  debugLedger: boolean,
): HandlerCore {
  const epochs = new EpochWriter(arena);
  const table = new ObservedTable(arena, epochs);
  const learn =
    policyConfig.type === "learn"
      ? new LearnPolicy({
          macAgingMillis: policyConfig["mac-aging-seconds"] * 1000,
          macTableSize: policyConfig["mac-table-size"],
        })
      : null;
  const handler = new Handler({
    arena,
    table,
    epochs,
    policy: learn ?? new FlowsPolicy(policyConfig["miss-pid"]),
    clock,
    debugLedger,
    flowIdleMillis: policyConfig["flow-idle-millis"],
    flowLimit: policyConfig["flow-limit"],
  });
  return { handler, table, learn };
}
