// The commands of a daemon over a switch of one thread: the test is the table's writer, and what a
// command answers is compared with the real Open vSwitch's answer to the same.
import type { MacTable } from "../../src/bridge/learn/mac-table.ts";
import { CommandError, CommandRegistry, isStreamed, MildError } from "../../src/control/command.ts";
import { flowCommands } from "../../src/control/commands/dpctl-flows.ts";
import { dummyCommands } from "../../src/control/commands/dummy.ts";
import { fdbCommands } from "../../src/control/commands/fdb.ts";
import { showCommands } from "../../src/control/commands/show.ts";
import type { PortLookup } from "../../src/control/flow-entry.ts";
import { FlowService, type FlowWriter } from "../../src/control/flow-service.ts";
import { Jobs } from "../../src/control/jobs.ts";
import type { SwitchView } from "../../src/control/switch-view.ts";
import type { ArenaSizes } from "../../src/memory/region-plan.ts";
import { applyFlowChange, findFlow } from "../../src/upcall/flow-change.ts";
import { Dataplane } from "../support/dataplane.ts";
import type { UnixctlAnswer } from "../support/unixctl-client.ts";

/** As the oracle names its own. */
export const DATAPATH = "dummy@ovs-dummy";
const VLAN_LIMIT = 1;
const MAC_TABLE_SIZE = 8192;

export class CommandRig {
  readonly plane: Dataplane;
  readonly flows: FlowService;
  readonly registry = new CommandRegistry();
  readonly jobs = new Jobs();
  readonly #portCount: number;

  private constructor(plane: Dataplane, portCount: number) {
    this.plane = plane;
    this.#portCount = portCount;
    this.flows = new FlowService(plane.arena, this.#writer(), true);
  }

  /** Dummy ports p1 ... with datapath numbers 1 ..., as the oracle has them. */
  static async create(macs: MacTable, sizes: Partial<ArenaSizes> = {}, portCount = 4): Promise<CommandRig> {
    const rig = new CommandRig(new Dataplane({ sizes, vlanLimit: VLAN_LIMIT }), portCount);
    const { plane, registry } = rig;
    for (let portNo = 1; portNo <= portCount; portNo += 1) await plane.addDummy(`p${portNo}`, { portNo });
    const view: SwitchView = {
      arena: plane.arena,
      ports: plane.ports,
      datapath: DATAPATH,
      startedMillis: 0,
      workers: () =>
        plane.pmds.map((_, index) => ({ index, cpu: null, state: "running" as const, restarts: 0 })),
    };
    const ports = (): PortLookup => rig.ports();
    registry.register(
      ...flowCommands(view, rig.flows, ports, plane.clock, VLAN_LIMIT, rig.jobs),
      ...fdbCommands(
        view,
        {
          entries: async () => macs.list(),
          flush: async () => macs.flush(),
          counts: async () => macs.counts,
        },
        plane.clock,
        MAC_TABLE_SIZE,
      ),
      ...dummyCommands(view),
      ...showCommands(view, rig.flows, ports, plane.clock, VLAN_LIMIT, () => ({ total: 7, accounted: 7 })),
    );
    return rig;
  }

  ports(): PortLookup {
    const numbers = Array.from({ length: this.#portCount }, (_, index) => index + 1);
    return {
      numbers: new Map(numbers.map((portNo) => [`p${portNo}`, portNo])),
      names: new Map(numbers.map((portNo) => [portNo, `p${portNo}`])),
    };
  }

  /** As the control socket answers. */
  async call(name: string, ...args: string[]): Promise<UnixctlAnswer> {
    try {
      const answer = await this.registry.run(name, args);
      if (!isStreamed(answer)) return { text: answer.text, code: 0 };
      const lines: string[] = [];
      for await (const line of answer.lines()) lines.push(`${line}\n`);
      return { text: lines.join(""), code: 0 };
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      return { text: `${error.message}\n`, code: error instanceof MildError ? 0 : 2 };
    }
  }

  async json<T>(name: string, ...args: string[]): Promise<T> {
    const answer = await this.registry.run(name, args);
    if (!isStreamed(answer)) return answer.json as T;
    const rows: unknown[] = [];
    for await (const row of answer.rows()) rows.push(row);
    return rows as T;
  }

  #writer(): FlowWriter {
    const { table, clock } = this.plane;
    return {
      apply: async (changes) => changes.map((change) => applyFlowChange(table, change, clock.millis())),
      find: async (ufid, key) => {
        const flowNo = findFlow(table, ufid, key);
        return flowNo === 0 ? null : table.flows.read(flowNo);
      },
      flush: async () => {
        table.flush();
        while (table.flushing) table.step();
      },
    };
  }
}
