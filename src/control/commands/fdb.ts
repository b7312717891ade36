// fdb/show, fdb/flush, fdb/stats-show: the MAC table of the learning policy. There is one bridge, named
// as the datapath is; its table lives with the handler, so answers come from there.
import type { MacEntry, MacTableCounts } from "../../bridge/learn/mac-table.ts";
import type { Clock } from "../../memory/clock.ts";
import { formatMac } from "../../packet/address.ts";
import { type Command, CommandError } from "../command.ts";
import { namesDatapath, type SwitchView } from "../switch-view.ts";
import { answer } from "./answer.ts";

/** The MAC table from another thread. */
export interface FdbView {
  /** The one unused for longest first, as OVS lists them. */
  entries(): Promise<readonly MacEntry[]>;
  /** Forgets every address; resolves when flows that were learned from them are being revalidated. */
  flush(): Promise<void>;
  counts(): Promise<Readonly<MacTableCounts>>;
}

/**
 * @param clock the one that entries are stamped by
 * @param sizeMax most addresses of the table
 */
export function fdbCommands(view: SwitchView, fdb: FdbView, clock: Clock, sizeMax: number): Command[] {
  const command = (
    name: string,
    summary: string,
    run: (bridge: string) => ReturnType<Command["run"]>,
  ): Command => ({
    name,
    usage: "[bridge]",
    summary,
    argumentCountMin: 0,
    argumentCountMax: 1,
    run: ([bridge]) => {
      if (bridge !== undefined && !namesDatapath(view, bridge)) throw new CommandError("no such bridge");
      return run(view.datapath.split("@")[1] ?? view.datapath);
    },
  });
  return [
    command("fdb/show", "the learned MAC table", async () => {
      const rows = (await fdb.entries()).map(({ portNo, vlan, mac, usedMillis }) => ({
        port: portNo,
        vlan,
        mac: formatMacNumber(mac),
        ageSeconds: Math.max(0, Math.floor((clock.millis() - usedMillis) / 1e3)),
      }));
      return answer([" port  VLAN  MAC                Age", ...rows.map(formatRow)], rows);
    }),
    command("fdb/flush", "forget every address", async () => {
      await fdb.flush();
      return answer("table successfully flushed", { flushed: true });
    }),
    command("fdb/stats-show", "sizes and counters of the MAC table", async (bridge) => {
      const { length: size } = await fdb.entries();
      const counts = { ...(await fdb.counts()), size, sizeMax };
      return answer(statisticsLines(bridge, counts), { bridge, ...counts });
    }),
  ];
}

interface FdbRow {
  readonly port: number;
  readonly vlan: number;
  readonly mac: string;
  readonly ageSeconds: number;
}

const formatRow = ({ port, vlan, mac, ageSeconds }: FdbRow): string =>
  `${String(port).padStart(5)}  ${String(vlan).padStart(4)}  ${mac}  ${String(ageSeconds).padStart(3)}`;

function formatMacNumber(mac: number): string {
  return formatMac(Uint8Array.from({ length: 6 }, (_, index) => Math.floor(mac / 256 ** (5 - index)) % 256));
}

type FdbCounts = Readonly<MacTableCounts> & { readonly size: number; readonly sizeMax: number };

/** OVS's lines; nothing here makes an address static. */
function statisticsLines(bridge: string, counts: FdbCounts): string[] {
  return [
    `Statistics for bridge "${bridge}":`,
    `  Current/maximum MAC entries in the table: ${counts.size}/${counts.sizeMax}`,
    "  Current static MAC entries in the table : 0",
    `  Total number of learned MAC entries     : ${counts.learned}`,
    `  Total number of expired MAC entries     : ${counts.expired}`,
    `  Total number of evicted MAC entries     : ${counts.evicted}`,
    `  Total number of port moved MAC entries  : ${counts.moved}`,
  ];
}
