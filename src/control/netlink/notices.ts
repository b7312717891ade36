// Changes of ports to the members of ovs_vport.
import { FAMILY } from "../../netlink/families.ts";
import { VPORT_ATTRIBUTES, VPORT_COMMAND } from "../../netlink/vport-messages.ts";
import type { OpenPort } from "../../port/port.ts";
import type { NetlinkContext } from "./context.ts";
import { encodeNotice } from "./exchange.ts";
import { vportAttributes } from "./vport-family.ts";

export class Notices {
  readonly #context: NetlinkContext;
  readonly #added = (port: OpenPort): void => this.#tell(VPORT_COMMAND.new, port);
  readonly #changed = (port: OpenPort): void => this.#tell(VPORT_COMMAND.set, port);
  readonly #removed = (port: OpenPort): void => {
    this.#tell(VPORT_COMMAND.del, port);
    this.#context.upcallPids.forgetPort(port.portNo);
  };

  constructor(context: NetlinkContext) {
    this.#context = context;
  }

  start(): void {
    const { ports } = this.#context.view;
    ports.on("added", this.#added);
    ports.on("changed", this.#changed);
    ports.on("options", this.#changed);
    ports.on("removed", this.#removed);
  }

  stop(): void {
    const { ports } = this.#context.view;
    ports.off("added", this.#added);
    ports.off("changed", this.#changed);
    ports.off("options", this.#changed);
    ports.off("removed", this.#removed);
  }

  #tell(command: number, port: OpenPort): void {
    const { subscriptions } = this.#context;
    const values = vportAttributes(this.#context, port);
    subscriptions.notify(
      FAMILY.vport.group.id,
      encodeNotice(FAMILY.vport, command, VPORT_ATTRIBUTES, values),
    );
  }
}
