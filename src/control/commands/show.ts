// millrace/ports-show, flows-show, workers-show, drops-show, masks-show: the daemon's pictures of itself,
// as tables and as data.
import { printActions } from "../../action/odp/print-actions.ts";
import { readThreadTotals } from "../../datapath/counters.ts";
import { FIELDS } from "../../flow/fields.ts";
import { isOnes, isZero } from "../../flow/key.ts";
import type { Clock } from "../../memory/clock.ts";
import { handlerThread } from "../../memory/region-plan.ts";
import { bytesToHex } from "../../packet/bytes.ts";
import { readPortCounters } from "../../port/counters.ts";
import { formatBooks, readBooks } from "../books.ts";
import type { Command, CommandResult, StreamedResult } from "../command.ts";
import { flowJson, formatFlowKey, type PortLookup } from "../flow-entry.ts";
import type { FlowService } from "../flow-service.ts";
import type { SwitchView } from "../switch-view.ts";
import { answer, mapped } from "./answer.ts";
import { formatTable } from "./table.ts";

/** Frames of the arena, and those whose owner is known; null when nobody keeps count. */
export type FrameAudit = () => { readonly total: number; readonly accounted: number } | null;

export function showCommands(
  view: SwitchView,
  flows: FlowService,
  ports: () => PortLookup,
  clock: Clock,
  vlanLimit: number,
  frames: FrameAudit,
): Command[] {
  const command = (name: string, summary: string, run: Command["run"]): Command => ({
    name: `millrace/${name}`,
    usage: "",
    summary,
    argumentCountMin: 0,
    argumentCountMax: 0,
    run,
  });
  return [
    command("ports-show", "ports with state, queues and counters", () => showPorts(view)),
    command("flows-show", "megaflows with counters", () => showFlows(flows, ports(), clock, vlanLimit)),
    command("workers-show", "workers with CPU, load, hits, upcalls", () => showWorkers(view, frames())),
    command("drops-show", "drops by reason and the books", () => {
      const books = readBooks(view.arena);
      return answer(formatBooks(books), books);
    }),
    command("masks-show", "subtables with flows, hits and probes", () => showMasks(flows)),
  ];
}

function showPorts(view: SwitchView): CommandResult {
  const rows = view.ports.list().map((port) => ({
    portNo: port.portNo,
    name: port.spec.name,
    type: port.spec.type,
    ...view.ports.status(port),
    rxQueues: port.rxqCount,
    txQueues: port.txqCount,
    workers: view.ports
      .rxqs()
      .filter((rxq) => rxq.port === port)
      .map(({ queue, worker }) => ({ queue, worker })),
    counters: readPortCounters(view.arena, port.slot),
  }));
  const lines = formatTable(
    [
      "port",
      "name",
      "type",
      "state",
      "mtu",
      "rxq",
      "txq",
      "rx packets",
      "rx dropped",
      "tx packets",
      "tx dropped",
    ],
    rows.map(({ counters, ...row }) => [
      row.portNo,
      row.name,
      row.type,
      row.up ? "up" : "down",
      row.mtu,
      row.rxQueues,
      row.txQueues,
      counters.rx_packets,
      counters.rx_dropped,
      counters.tx_packets,
      counters.tx_dropped,
    ]),
  );
  const notes = rows.flatMap(({ name, notes }) => notes.map((note) => `${name}: ${note}`));
  return answer([...lines, ...notes], rows);
}

/** Of any length, so columns have widths of their own. */
function showFlows(flows: FlowService, ports: PortLookup, clock: Clock, vlanLimit: number): StreamedResult {
  const nowMillis = clock.millis();
  const line = (packets: string, bytes: string, idle: string, kind: string, match: string, actions: string) =>
    `${packets.padStart(12)}  ${bytes.padStart(15)}  ${idle.padStart(8)}  ${kind.padEnd(8)}  ${match}  ${actions}`;
  async function* lines(): AsyncGenerator<string> {
    yield line("packets", "bytes", "idle s", "kind", "match", "actions");
    for await (const flow of flows.all()) {
      const { packets, bytes, usedMillis } = flow.stats;
      const idle = usedMillis === 0 ? "never" : (Math.max(0, nowMillis - usedMillis) / 1e3).toFixed(1);
      const kind = flow.operator ? "operator" : "learned";
      const match = formatFlowKey(flow, { verbose: false, names: false }, ports, vlanLimit);
      yield line(String(packets), String(bytes), idle, kind, match, printActions(flow.actions));
    }
  }
  return { lines, rows: () => mapped(flows.all(), (flow) => flowJson(flow, ports, nowMillis, vlanLimit)) };
}

function showWorkers(view: SwitchView, frames: ReturnType<FrameAudit>): CommandResult {
  const workers = view.workers().map((worker) => {
    const { counters } = readThreadTotals(view.arena, worker.index);
    const nanos = counters.nanos_busy + counters.nanos_idle + counters.nanos_asleep;
    return { ...worker, busy: nanos === 0 ? 0 : counters.nanos_busy / nanos, counters };
  });
  const lines = formatTable(
    [
      "worker",
      "cpu",
      "state",
      "restarts",
      "busy %",
      "received",
      "transmitted",
      "hits",
      "misses",
      "lost",
      "sleeps",
    ],
    workers.map(({ index, cpu, state, restarts, busy, counters }) => [
      index,
      cpu ?? "any",
      state,
      restarts,
      (busy * 100).toFixed(1),
      counters.received,
      counters.transmitted,
      counters.lookup_hit,
      counters.lookup_miss,
      counters.upcall_lost,
      counters.sleeps,
    ]),
  );
  const handler = readThreadTotals(view.arena, handlerThread(view.arena.plan.sizes)).counters;
  const held = frames === null ? [] : [`frames: ${frames.accounted} of ${frames.total} accounted for`];
  return answer([...lines, `pid: ${process.pid}`, ...held], { pid: process.pid, workers, handler, frames });
}

function showMasks(flows: FlowService): CommandResult {
  const { masks, ...totals } = flows.stats();
  const rows = masks.map(({ mask, ...row }, index) => ({ index, ...row, fields: maskedFields(mask) }));
  const lines = formatTable(
    ["mask", "flows", "buckets", "hits", "probes", "fields"],
    rows.map(({ index, flowCount, bucketCount, hits, probes, fields }) => [
      index,
      flowCount,
      bucketCount,
      hits,
      probes,
      fields.join(","),
    ]),
  );
  const { flowCount, hits, probes } = totals;
  const total = `${flowCount} flows under ${rows.length} masks, ${hits} hits, ${probes} probes`;
  return answer([...lines, total], { ...totals, masks: rows });
}

/** Fields that a mask looks at; those it looks at in part with their bits. */
function maskedFields(mask: Uint8Array): string[] {
  return FIELDS.filter(({ name }) => !isZero(mask, name)).map(({ name, offset, bytes }) =>
    isOnes(mask, name) ? name : `${name}/${bytesToHex(mask.subarray(offset, offset + bytes))}`,
  );
}
