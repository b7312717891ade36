// ovs_meter: meters of the datapath, as the kernel answers: GET tells counts, SET and DEL what had been counted before.
import { METER_BANDS_MAX } from "../../action/meter-layout.ts";
import type { MeterBand, MeterView } from "../../action/meter-table.ts";
import { METER_COUNT_MAX } from "../../memory/region-plan.ts";
import type { Decoded } from "../../netlink/attribute-table.ts";
import { NetlinkError } from "../../netlink/errno.ts";
import {
  BAND_TYPE,
  METER_ATTRIBUTES,
  METER_COMMAND,
  type MeterAttributes,
} from "../../netlink/meter-messages.ts";
import type { FamilyService, NetlinkContext } from "./context.ts";
import type { Exchange } from "./exchange.ts";

type Request = Decoded<typeof METER_ATTRIBUTES>;

export function meterFamily(context: NetlinkContext): FamilyService {
  return async (exchange) => {
    if (exchange.isDump) throw exchange.unsupported();
    const request = exchange.attributes(METER_ATTRIBUTES);
    switch (exchange.command) {
      case METER_COMMAND.features:
        return await reply(exchange, FEATURES);
      case METER_COMMAND.set:
        return await setMeter(context, exchange, request);
      case METER_COMMAND.get:
        return await reply(exchange, countsOf(existing(context, request)));
      case METER_COMMAND.del: {
        const before = existing(context, request);
        context.meters.remove(before.id);
        return await reply(exchange, countsOf(before));
      }
      default:
        throw exchange.unsupported();
    }
  };
}

const FEATURES: MeterAttributes = {
  maxMeters: METER_COUNT_MAX,
  maxBands: METER_BANDS_MAX,
  bands: [{ type: BAND_TYPE.drop }],
};

const reply = (exchange: Exchange, values: MeterAttributes): Promise<void> =>
  exchange.reply(exchange.command, METER_ATTRIBUTES, values);

async function setMeter({ meters }: NetlinkContext, exchange: Exchange, request: Request): Promise<void> {
  const { kbps, stats } = request.values;
  const id = idOf(request);
  if (stats !== undefined)
    throw new NetlinkError("EOPNOTSUPP", "counts begin at 0; leave stats out", request.payloadAt("stats"));
  const before = meters.view(id);
  try {
    meters.set(id, { unit: kbps === true ? "kbps" : "pktps", bands: bandsOf(request) });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new NetlinkError("EINVAL", error.message, request.payloadAt("bands"));
  }
  await reply(exchange, before === undefined ? { id } : countsOf(before));
}

/** @throws NetlinkError */
function bandsOf({ values, payloadAt }: Request): MeterBand[] {
  const { bands } = values;
  if (bands === undefined) throw new NetlinkError("EINVAL", "bands are missing");
  return bands.map(({ type, rate, burst, stats }, index) => {
    const refuse = (rule: string): never => {
      throw new NetlinkError("EINVAL", `band ${index}: ${rule}`, payloadAt("bands"));
    };
    if (type === undefined || rate === undefined || burst === undefined)
      return refuse("accepted: attributes 1 (type), 2 (rate) and 3 (burst)");
    if (type !== BAND_TYPE.drop) return refuse(`type ${type}; accepted: ${BAND_TYPE.drop} (drop)`);
    if (stats !== undefined) return refuse("counts begin at 0; leave stats out");
    return { rate, burst };
  });
}

/** @throws NetlinkError */
function idOf({ values: { id }, payloadAt }: Request): number {
  if (id === undefined) throw new NetlinkError("EINVAL", "id is missing");
  if (id < METER_COUNT_MAX) return id;
  throw new NetlinkError("EINVAL", `meter ${id}; accepted: 0 to ${METER_COUNT_MAX - 1}`, payloadAt("id"));
}

/** @throws NetlinkError */
function existing({ meters }: NetlinkContext, request: Request): MeterView {
  const id = idOf(request);
  const view = meters.view(id);
  if (view === undefined)
    throw new NetlinkError("ENOENT", `there is no meter ${id}`, request.payloadAt("id"));
  return view;
}

function countsOf({ id, packets, bytes, bands }: MeterView): MeterAttributes {
  const stats = (counted: { readonly packets: number; readonly bytes: number }) => ({
    packets: BigInt(counted.packets),
    bytes: BigInt(counted.bytes),
  });
  return { id, stats: stats({ packets, bytes }), bands: bands.map((band) => ({ stats: stats(band) })) };
}
