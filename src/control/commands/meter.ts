// millrace/meter-set, meter-del, meter-show. OVS has no such commands for its datapath: its meters come by OpenFlow.

import type { MeterBand, MeterTable, MeterUnit, MeterView } from "../../action/meter-table.ts";
import { METER_COUNT_MAX } from "../../memory/region-plan.ts";
import { type Command, CommandError, UNLIMITED } from "../command.ts";
import { answer } from "./answer.ts";
import { formatTable } from "./table.ts";

export function meterCommands(meters: MeterTable): Command[] {
  return [
    {
      name: "millrace/meter-set",
      usage: "meter kbps|pktps rate[:burst]...",
      summary: "make a meter, or make it anew, of one to eight bands that drop",
      argumentCountMin: 3,
      argumentCountMax: UNLIMITED,
      run: ([id, unit, ...bands]) => {
        if (unit !== "kbps" && unit !== "pktps")
          throw new CommandError(`unit "${unit}": kbps or pktps is expected`);
        return set(meters, parseId(id!), unit, bands.map(parseBand));
      },
    },
    {
      name: "millrace/meter-del",
      usage: "meter",
      summary: "remove a meter; flows that ask for it pass unmetered",
      argumentCountMin: 1,
      argumentCountMax: 1,
      run: ([id]) => {
        if (!meters.remove(parseId(id!))) throw new CommandError(`meter ${id}: there is no such meter`);
        return answer("", {});
      },
    },
    {
      name: "millrace/meter-show",
      usage: "[meter]",
      summary: "meters with bands and counters",
      argumentCountMin: 0,
      argumentCountMax: 1,
      run: ([id]) => {
        const views = id === undefined ? meters.list() : [viewOf(meters, parseId(id))];
        return answer(format(views), views);
      },
    },
  ];
}

function set(meters: MeterTable, id: number, unit: MeterUnit, bands: readonly MeterBand[]) {
  try {
    meters.set(id, { unit, bands });
  } catch (error) {
    if (error instanceof RangeError) throw new CommandError(error.message);
    throw error;
  }
  return answer("", viewOf(meters, id));
}

function viewOf(meters: MeterTable, id: number): MeterView {
  const view = meters.view(id);
  if (view === undefined) throw new CommandError(`meter ${id}: there is no such meter`);
  return view;
}

function parseId(text: string): number {
  const id = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(id < METER_COUNT_MAX)) {
    throw new CommandError(`meter "${text}": a number from 0 to ${METER_COUNT_MAX - 1} is expected`);
  }
  return id;
}

function parseBand(text: string): MeterBand {
  const parts = /^(\d+)(?::(\d+))?$/.exec(text);
  if (parts === null) throw new CommandError(`band "${text}": rate or rate:burst is expected`);
  return { rate: Number(parts[1]), burst: parts[2] === undefined ? undefined : Number(parts[2]) };
}

function format(views: readonly MeterView[]): string[] {
  return formatTable(
    ["meter", "unit", "packets", "bytes", "rate", "burst", "dropped packets", "dropped bytes"],
    views.flatMap(({ id, unit, packets, bytes, bands }) =>
      bands.map((band) => [id, unit, packets, bytes, band.rate, band.burst, band.packets, band.bytes]),
    ),
  );
}
