// What millrace.yaml may say, with every default. docs/configuration.md is the reader's form of this table; a test
// holds the two together.
import * as v from "valibot";
import { METER_BANDS_MAX } from "../../action/meter-layout.ts";
import { DEFAULT_SIZES, MASK_COUNT_MAX, METER_COUNT_MAX } from "../../memory/region-plan.ts";
import { parseMac } from "../../packet/address.ts";
import { PORT_NO_MAX, PORT_TYPES } from "../../port/port.ts";
import { parsePrefix } from "../../tunnel/ip.ts";
import { bondSchema } from "./bonds.ts";
import { CPU_MAX, parseCpuList } from "./cpu-list.ts";
import { portName, vlanMode, wholeNumber } from "./values.ts";

const cpuList = v.pipe(
  v.union([v.string(), wholeNumber(0, CPU_MAX)], 'a CPU list like "2-5,8" is expected'),
  v.transform(String),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    try {
      return parseCpuList(dataset.value);
    } catch (error) {
      addIssue({ message: (error as Error).message });
      return NEVER;
    }
  }),
);

const address = v.pipe(
  v.string("an address with its prefix length is expected"),
  v.check(
    (text) => text.includes("/") && parsePrefix(text) !== undefined,
    "an address with its prefix length, like 10.0.0.1/24 or 2001:db8::1/64, is expected",
  ),
);
const macAddress = v.pipe(
  v.string("a MAC address is expected"),
  v.check((text) => parseMac(text) !== undefined, "a MAC address, like 02:00:00:00:00:01, is expected"),
);

/** One port, in the file and in dpctl/add-if. */
export const portSchema = v.strictObject({
  name: portName,
  type: v.picklist(PORT_TYPES, `one of ${PORT_TYPES.join(", ")} is expected`),
  "port-no": v.optional(wholeNumber(0, PORT_NO_MAX)),
  "rx-queues": v.optional(wholeNumber(1, 16)),
  vlan: v.optional(vlanMode),
  addresses: v.optional(v.array(address), []),
  mac: v.optional(macAddress),
  options: v.optional(v.record(v.string(), v.unknown()), {}),
});

const memory = v.strictObject({
  frames: v.optional(wholeNumber(64, 1 << 22), DEFAULT_SIZES.frameCount),
  "frame-bytes": v.optional(v.picklist([2048, 4096], "2048 or 4096"), DEFAULT_SIZES.frameBytes as 2048),
  flows: v.optional(wholeNumber(1, (1 << 24) - 2), DEFAULT_SIZES.flowCountMax),
  masks: v.optional(wholeNumber(1, MASK_COUNT_MAX), DEFAULT_SIZES.maskCountMax),
  ports: v.optional(wholeNumber(1, 65535), DEFAULT_SIZES.portCountMax),
  "upcall-ring-bytes": v.optional(wholeNumber(1 << 17, 1 << 26), DEFAULT_SIZES.upcallRingBytes),
  "kernel-ring-bytes": v.optional(wholeNumber(0, 1 << 30), DEFAULT_SIZES.kernelRingBytes),
  "huge-pages": v.optional(v.picklist(["auto", "off", "require"], "auto, off or require"), "auto"),
});

/** What forwards: `auto` is compiled. */
export const ENGINES = ["auto", "compiled", "reference"] as const;
export type EngineName = (typeof ENGINES)[number];

const policy = v.strictObject({
  type: v.optional(v.picklist(["learn", "flows"], "learn or flows"), "learn"),
  "mac-aging-seconds": v.optional(wholeNumber(15, 3600), 300),
  "mac-table-size": v.optional(wholeNumber(10, 1_000_000), 8192),
  "flow-idle-millis": v.optional(wholeNumber(100, 86_400_000), 10_000),
  "flow-limit": v.optional(wholeNumber(1, 1 << 24), 200_000),
  /** Policy `flows`: where a miss goes; absent, it is dropped and counted. */
  "miss-pid": v.optional(wholeNumber(1, 0xffffffff)),
});

const meterWord = wholeNumber(1, 0xffffffff);
/** One meter. */
export const meterSchema = v.strictObject({
  id: wholeNumber(0, METER_COUNT_MAX - 1),
  unit: v.picklist(["kbps", "pktps"], "kbps or pktps"),
  bands: v.pipe(
    v.array(v.strictObject({ rate: meterWord, burst: v.optional(meterWord) })),
    v.minLength(1, "one band is the least"),
    v.maxLength(METER_BANDS_MAX, `${METER_BANDS_MAX} bands are the most`),
  ),
});

const workers = v.strictObject({
  cpus: v.optional(cpuList),
  "sleep-micros-max": v.optional(wholeNumber(0, 10_000), 0),
});

export const configSchema = v.strictObject({
  datapath: v.optional(
    v.pipe(v.string(), v.regex(/^[\w-]+@[\w.-]+$/, "type@name is expected, like netdev@millrace")),
    "netdev@millrace",
  ),
  socket: v.optional(v.string("a path is expected")),
  /** "" for none; absent, beside the control socket. */
  "netlink-socket": v.optional(v.string("a path is expected")),
  "control-cpus": v.optional(cpuList),
  engine: v.optional(v.picklist(ENGINES, "auto, compiled or reference"), "auto"),
  workers: v.optional(workers, {}),
  memory: v.optional(memory, {}),
  policy: v.optional(policy, {}),
  "vlan-limit": v.optional(wholeNumber(0, 2), 1),
  seed: v.optional(wholeNumber(0, 0xffffffff)),
  "kernel-routes": v.optional(v.boolean(), true),
  "local-port": v.optional(portName),
  ports: v.optional(v.array(portSchema), []),
  meters: v.optional(v.array(meterSchema), []),
  bonds: v.optional(v.array(bondSchema), []),
  flows: v.optional(v.array(v.string("a line FLOW ACTIONS is expected")), []),
  "flow-file": v.optional(v.string("a path is expected")),
  log: v.optional(
    v.picklist(["off", "emer", "err", "warn", "info", "dbg"], "off, emer, err, warn, info or dbg"),
    "info",
  ),
  debug: v.optional(
    v.strictObject({ ledger: v.optional(v.boolean(), false), faults: v.optional(v.boolean(), false) }),
    {},
  ),
});

export type Config = v.InferOutput<typeof configSchema>;
export type PortConfig = Config["ports"][number];
