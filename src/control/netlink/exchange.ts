// One request and its answers, as a family sees them.
import {
  type AttributeTable,
  type Decoded,
  decodeAttributes,
  encodeAttributes,
  type Values,
} from "../../netlink/attribute-table.ts";
import { NetlinkError } from "../../netlink/errno.ts";
import type { FamilyRow } from "../../netlink/families.ts";
import {
  encodeDone,
  encodeGeneric,
  GENL_HEADER_BYTES,
  genericHeader,
  type NetlinkMessage,
  NLM_F,
  NLMSG_HEADER_BYTES,
  OVS_HEADER_BYTES,
} from "../../netlink/message.ts";
import type { Connection } from "./connection.ts";

/** The one datapath's number in ovs_header. The kernel has the local port's ifindex there. */
export const DP_IFINDEX = 1;

export class Exchange {
  readonly connection: Connection;
  readonly request: NetlinkMessage;
  readonly command: number;
  readonly #family: FamilyRow;

  constructor(connection: Connection, request: NetlinkMessage, family: FamilyRow) {
    this.connection = connection;
    this.request = request;
    this.command = genericHeader(request).command;
    this.#family = family;
  }

  has(flag: number): boolean {
    return (this.request.flags & flag) !== 0;
  }

  get isDump(): boolean {
    return (this.request.flags & NLM_F.dump) === NLM_F.dump;
  }

  /** @throws NetlinkError */
  attributes<Table extends AttributeTable>(table: Table): Decoded<Table> {
    const headerBytes = GENL_HEADER_BYTES + (this.#family.hasOvsHeader ? OVS_HEADER_BYTES : 0);
    const { bytes } = this.request;
    return decodeAttributes(table, bytes, NLMSG_HEADER_BYTES + headerBytes, this.#family.name);
  }

  /** Sends an answer of the family, one of several in a dump. */
  async reply<Table extends AttributeTable>(
    command: number,
    table: Table,
    values: Values<Table>,
  ): Promise<void> {
    const { sequence, pid } = this.request;
    const header = { type: this.#family.id, flags: this.isDump ? NLM_F.multi : 0, sequence, pid };
    await this.connection.send(encodeFamily(this.#family, header, command, table, values));
  }

  async done(): Promise<void> {
    await this.connection.send(encodeDone(this.request));
  }

  /** A command that the family does not have, or no dump of. */
  unsupported(): NetlinkError {
    const what = `${this.#family.name} has no command ${this.command}${this.isDump ? " that dumps" : ""}`;
    return new NetlinkError("EOPNOTSUPP", what, NLMSG_HEADER_BYTES);
  }
}

/** A message of a family to whom it may concern. */
export function encodeNotice<Table extends AttributeTable>(
  family: FamilyRow,
  command: number,
  table: Table,
  values: Values<Table>,
): Uint8Array {
  return encodeFamily(family, { type: family.id, flags: 0, sequence: 0, pid: 0 }, command, table, values);
}

function encodeFamily<Table extends AttributeTable>(
  family: FamilyRow,
  header: Parameters<typeof encodeGeneric>[0],
  command: number,
  table: Table,
  values: Values<Table>,
): Uint8Array {
  const dpIfindex = family.hasOvsHeader ? DP_IFINDEX : undefined;
  const generic = { command, version: family.version };
  return encodeGeneric(header, generic, dpIfindex, encodeAttributes(table, values));
}
