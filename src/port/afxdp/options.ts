// The options of an afxdp port, as the configuration and add-if give them.
import * as v from "valibot";
import type { PortSpec } from "../port.ts";
import { QUEUE_COUNT_MAX } from "./layout.ts";

/** Modes in the order in which `auto` tries them. */
export const XDP_MODES_WANTED = ["auto", "zero-copy", "native", "generic"] as const;
export type WantedMode = (typeof XDP_MODES_WANTED)[number];
export type UsedMode = Exclude<WantedMode, "auto">;

/** What OVS calls two of them. */
const OVS_NAMES: Readonly<Record<string, WantedMode>> = {
  "best-effort": "auto",
  "native-with-zerocopy": "zero-copy",
};

/**
 * 2,048 descriptors last 2 ms at a million packets a second: longer than a worker is away for other ports.
 */
const RING_SIZE_DEFAULT = 2048;
/** A burst of 64 has to fit; the kernel takes no ring beyond 2^30 and a page allocator none near it. */
const RING_SIZE_MIN = 64;
const RING_SIZE_MAX = 32768;

const optionSchema = v.strictObject({
  interface: v.optional(v.string()),
  netns: v.optional(v.string()),
  force: v.optional(v.boolean(), false),
  "xdp-mode": v.optional(
    v.pipe(
      v.string(),
      v.transform((name) => OVS_NAMES[name] ?? name),
      v.picklist(XDP_MODES_WANTED),
    ),
    "auto",
  ),
  "use-need-wakeup": v.optional(v.boolean(), true),
  "ring-size": v.optional(
    v.pipe(
      v.number(),
      v.integer(),
      v.minValue(RING_SIZE_MIN),
      v.maxValue(RING_SIZE_MAX),
      v.check((value) => (value & (value - 1)) === 0, "must be a power of two"),
    ),
    RING_SIZE_DEFAULT,
  ),
});

export interface AfxdpOptions {
  readonly interfaceName: string;
  readonly netns: string | undefined;
  readonly force: boolean;
  readonly mode: WantedMode;
  readonly needWakeup: boolean;
  readonly ringEntries: number;
  readonly rxqCount: number;
}

/** @throws Error that names port, option and what it takes */
export function readOptions(spec: PortSpec): AfxdpOptions {
  const parsed = v.safeParse(optionSchema, spec.options ?? {});
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw new Error(
      `port ${spec.name}: option ${v.getDotPath(issue) ?? ""}: ${issue.message}; an afxdp port takes ` +
        `interface, netns, force, xdp-mode (${XDP_MODES_WANTED.join(", ")}), use-need-wakeup and ring-size ` +
        `(a power of two from ${RING_SIZE_MIN} to ${RING_SIZE_MAX})`,
    );
  }
  const rxqCount = spec.rxqCount ?? 1;
  if (rxqCount < 1 || rxqCount > QUEUE_COUNT_MAX) {
    throw new Error(
      `port ${spec.name}: ${rxqCount} receive queues; rx-queues must be from 1 to ${QUEUE_COUNT_MAX}`,
    );
  }
  const options = parsed.output;
  return {
    interfaceName: options.interface ?? spec.name,
    netns: options.netns,
    force: options.force,
    mode: options["xdp-mode"],
    needWakeup: options["use-need-wakeup"],
    ringEntries: options["ring-size"],
    rxqCount,
  };
}
