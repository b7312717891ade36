// Rules for userspace(): a pid, which may be 0 (the userspace datapath has no netlink sockets, and prints 0),
// and at most one each of userdata, tunnel port and the actions flag. Control path.
import { USERSPACE } from "./attributes.ts";
import type { ActionCase } from "./validate.ts";
import { type PartRow, partsOf, requirePart } from "./validate-nested.ts";

const PARTS: ReadonlyMap<number, PartRow> = new Map<number, PartRow>([
  [USERSPACE.pid, ["pid", 4]],
  [USERSPACE.userdata, ["userdata", -1]],
  [USERSPACE.egressTunPort, ["tunnel_out_port", 4]],
  [USERSPACE.actions, ["actions", 0]],
]);

export function validateUserspace(userspace: ActionCase): void {
  requirePart(userspace, partsOf(userspace, PARTS), PARTS, USERSPACE.pid);
}
