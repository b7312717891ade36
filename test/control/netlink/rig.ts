// A whole switch with dummy ports, its netlink socket, and programs at it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Test } from "tap";
import { parseActions } from "../../../src/action/odp/parse-actions.ts";
import { parseConfig } from "../../../src/control/config/load.ts";
import { Log } from "../../../src/control/log.ts";
import { netlinkContext } from "../../../src/control/netlink/context.ts";
import { NetlinkServer } from "../../../src/control/netlink/server.ts";
import { Switch } from "../../../src/control/switch.ts";
import { attributesFromMatch, parseMatch } from "../../../src/flow/odp/match.ts";
import type { AttributeTable, Values } from "../../../src/netlink/attribute-table.ts";
import { attributesOf, commandOf, NetlinkClient } from "../../../src/netlink/client.ts";
import { FAMILY, type FamilyRow } from "../../../src/netlink/families.ts";
import type { FlowAttributes } from "../../../src/netlink/flow-messages.ts";
import type { NetlinkMessage } from "../../../src/netlink/message.ts";
import { type DummyPort, isDummyPort } from "../../../src/port/dummy/driver.ts";

/** Far beyond what anything takes: a hang ends a test, slowness does not. */
const DEADLINE_MILLIS = 60_000;

export interface NetlinkRig {
  readonly running: Switch;
  readonly path: string;
  /** What was refused and not a probe. */
  readonly logged: string[];
  connect(): Promise<NetlinkClient>;
  port(name: string): DummyPort;
}

/** @param ports how many dummy ports, d1 to dN, numbered so */
export async function netlinkRig(t: Test, ports: number, settings = ""): Promise<NetlinkRig> {
  const rows = Array.from({ length: ports }, (_, index) => `  - { name: d${index + 1}, type: dummy }\n`);
  const list = rows.length === 0 ? "ports: []\n" : `ports:\n${rows.join("")}`;
  const sizes = "memory: { frames: 4096, flows: 20000, kernel-ring-bytes: 1048576, huge-pages: off }\n";
  const text = `${sizes}debug: { ledger: true }\nworkers: { sleep-micros-max: 200 }\nlog: "off"\n${settings}${list}`;
  const running = await Switch.start(parseConfig(text, "rig.yaml"), new Log("off"));
  // Requests are answered in their order: the policy knows the ports then.
  await running.handler.ask("stats", {});
  const folder = mkdtempSync(join(tmpdir(), "millrace-netlink-"));
  const path = join(folder, "nl");
  const logged: string[] = [];
  const server = await NetlinkServer.listen(path, netlinkContext(running), (message) => logged.push(message));
  const clients: NetlinkClient[] = [];
  t.teardown(async () => {
    for (const client of clients) client.close();
    await server.close();
    await running.stop();
    rmSync(folder, { recursive: true });
  });
  return {
    running,
    path,
    logged,
    connect: async () => {
      const client = await NetlinkClient.connect(path);
      clients.push(client);
      return client;
    },
    port: (name) => {
      const port = running.ports.byName(name);
      if (port === undefined || !isDummyPort(port)) throw new Error(`${name} is no dummy port`);
      return port;
    },
  };
}

/** Key, mask, ufid and actions of a flow's text. */
export function flowOf(match: string, actions?: string): FlowAttributes {
  const { ufid, ...flow } = parseMatch(match);
  const { key, mask } = attributesFromMatch(flow);
  return { key, mask, ufid, actions: actions === undefined ? undefined : parseActions(actions) };
}

export async function until(what: string, isDone: () => boolean): Promise<void> {
  for (let waited = 0; !isDone(); waited += 1) {
    if (waited > DEADLINE_MILLIS) throw new Error(`waited in vain for ${what}`);
    await sleep(1);
  }
}

/** What comes to a program without being asked for. */
export function listenTo(client: NetlinkClient): NetlinkMessage[] {
  const heard: NetlinkMessage[] = [];
  client.on("message", (message) => heard.push(message));
  return heard;
}

/** Command and attributes of a family's message. */
export function read<Table extends AttributeTable>(
  family: FamilyRow,
  table: Table,
  message: NetlinkMessage | undefined,
): { command: number; values: Values<Table> } {
  if (message === undefined) throw new Error("no message");
  if (message.type !== family.id) throw new Error(`message of family ${message.type}, not of ${family.name}`);
  return { command: commandOf(message), values: attributesOf(family, table, message) };
}

export { FAMILY };
