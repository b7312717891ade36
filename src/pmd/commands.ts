// What control tells a running worker. Messages travel through a MessagePort that the worker polls only when
// THREAD.commandEpoch says that there is one; when all were carried out it stores that epoch in THREAD.commandDone.
// A command that fails is answered by a CommandFailure before that store, and the worker goes on without it.
import type { QueueAttachment } from "../port/port.ts";
import type { TunnelState } from "../tunnel/state.ts";
import type { Pmd } from "./pmd.ts";

/** Ways to fail on purpose, for tests of the supervisor. */
export const FAULTS = ["throw", "trap", "loop"] as const;
export type Fault = (typeof FAULTS)[number];

export type PmdCommand =
  | { readonly type: "attach-rx"; readonly attachment: QueueAttachment }
  | { readonly type: "detach-rx"; readonly slot: number; readonly queue: number }
  | { readonly type: "attach-tx"; readonly attachment: QueueAttachment }
  | { readonly type: "detach-tx"; readonly slot: number }
  | { readonly type: "set-tx-owner"; readonly portNo: number; readonly slot: number; readonly owner: number }
  | { readonly type: "set-tunnels"; readonly state: TunnelState }
  | { readonly type: "set-program"; readonly module: WebAssembly.Module | null }
  /** The worker has its queues and may begin to loop. */
  | { readonly type: "start" }
  | { readonly type: "set-sleep"; readonly microsMax: number }
  | { readonly type: "fault"; readonly fault: Fault };

export interface CommandFailure {
  readonly type: "failure";
  readonly command: string;
  readonly message: string;
}

/** The commands that concern a Pmd. False when it is another one. */
export function carryOut(pmd: Pmd, command: PmdCommand): boolean {
  switch (command.type) {
    case "attach-rx":
      pmd.attachRx(command.attachment);
      return true;
    case "detach-rx":
      pmd.detachRx(command.slot, command.queue);
      return true;
    case "attach-tx":
      pmd.attachTx(command.attachment);
      return true;
    case "detach-tx":
      pmd.detachTx(command.slot);
      return true;
    case "set-tx-owner":
      pmd.setTxOwner(command.portNo, command.slot, command.owner);
      return true;
    case "set-tunnels":
      pmd.setTunnels(command.state);
      return true;
    case "set-program":
      pmd.setProgram(command.module);
      return true;
    default:
      return false;
  }
}
