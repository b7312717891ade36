import type { PortSpec } from "../../port/port.ts";
import type { PortConfig } from "./schema.ts";

/** The port that an entry of the file's `ports` asks for. */
export function portSpec(port: PortConfig): PortSpec {
  const { name, type, options, "port-no": portNo, "rx-queues": rxqCount } = port;
  return {
    name,
    type,
    options,
    ...(portNo === undefined ? {} : { portNo }),
    ...(rxqCount === undefined ? {} : { rxqCount }),
  };
}
