// Who is bound to which pid and who is a member of which group. The handler is told which pids have a listener, and
// whether anybody watches flows.
import { NetlinkError } from "../../netlink/errno.ts";
import { FAMILIES, FAMILY } from "../../netlink/families.ts";
import { PSAMPLE_PID } from "../../upcall/pid-listeners.ts";
import type { HandlerLink } from "../handler-link.ts";
import type { Connection } from "./connection.ts";

/** Pids of one program: a queue of OUTLET_BYTES_MAX each. */
const PIDS_MAX = 64;
/** Where pids that we choose begin: above those of processes, which programs choose by habit. */
const PID_CHOSEN_MIN = 0x8000_0000;

export class Subscriptions {
  readonly #handler: Pick<HandlerLink, "ask">;
  readonly #byPid = new Map<number, Connection>();
  readonly #byGroup = new Map<number, Set<Connection>>();
  #nextPid = PID_CHOSEN_MIN;

  constructor(handler: Pick<HandlerLink, "ask">) {
    this.#handler = handler;
  }

  /** Who is bound to the pid. */
  listener(pid: number): Connection | undefined {
    return this.#byPid.get(pid);
  }

  members(group: number): Iterable<Connection> {
    return this.#byGroup.get(group) ?? [];
  }

  notify(group: number, bytes: Uint8Array): void {
    for (const member of this.members(group)) member.notify(bytes);
  }

  /** Binds the program to a pid, to a free one for 0. @throws NetlinkError */
  async bind(connection: Connection, wanted: number): Promise<number> {
    const pid = wanted === 0 ? this.#freePid() : wanted;
    if (pid === PSAMPLE_PID) {
      const group = FAMILY.psample.group.id;
      throw new NetlinkError("EINVAL", `pid ${pid} stands for psample(); join group ${group} for it`);
    }
    if (this.#byPid.has(pid)) throw new NetlinkError("EADDRINUSE", `pid ${pid} is bound already`);
    if (connection.pids.size >= PIDS_MAX)
      throw new NetlinkError("ENOBUFS", `${PIDS_MAX} pids are bound, the most of one connection; unbind one`);
    this.#byPid.set(pid, connection);
    connection.pids.add(pid);
    await this.#handler.ask("listen", { pid });
    return pid;
  }

  /** @throws NetlinkError */
  async unbind(connection: Connection, pid: number): Promise<void> {
    if (!connection.pids.delete(pid)) throw new NetlinkError("ENOENT", `pid ${pid} is not bound here`);
    this.#byPid.delete(pid);
    await this.#handler.ask("unlisten", { pid });
  }

  /** @throws NetlinkError */
  async join(connection: Connection, group: number): Promise<void> {
    if (!FAMILIES.some((family) => family.group?.id === group))
      throw new NetlinkError("ENOENT", `there is no multicast group ${group}`);
    const members = this.#byGroup.get(group) ?? new Set();
    this.#byGroup.set(group, members.add(connection));
    connection.groups.add(group);
    await this.#tellHandler(group);
  }

  /** @throws NetlinkError */
  async leave(connection: Connection, group: number): Promise<void> {
    if (!connection.groups.delete(group)) throw new NetlinkError("ENOENT", `no member of group ${group}`);
    this.#byGroup.get(group)?.delete(connection);
    await this.#tellHandler(group);
  }

  /** The program is gone. Returns the pids that it was bound to. */
  async forget(connection: Connection): Promise<readonly number[]> {
    const pids = [...connection.pids];
    for (const pid of pids) await this.unbind(connection, pid);
    for (const group of [...connection.groups]) await this.leave(connection, group);
    return pids;
  }

  /** The handler gathers changes of flows, and packets of psample(), only while somebody wants them. */
  async #tellHandler(group: number): Promise<void> {
    const isWatched = (this.#byGroup.get(group)?.size ?? 0) > 0;
    if (group === FAMILY.flow.group.id) await this.#handler.ask("watchFlows", { isWatched });
    if (group === FAMILY.psample.group.id)
      await this.#handler.ask(isWatched ? "listen" : "unlisten", { pid: PSAMPLE_PID });
  }

  #freePid(): number {
    while (this.#byPid.has(this.#nextPid)) this.#nextPid += 1;
    const pid = this.#nextPid;
    this.#nextPid = pid === PSAMPLE_PID - 1 ? PID_CHOSEN_MIN : pid + 1;
    return pid;
  }
}
