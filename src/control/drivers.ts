// Every port type's driver, by type.
import { afPacketDriver } from "../port/af_packet/driver.ts";
import { afxdpDriver } from "../port/afxdp/driver.ts";
import { dummyDriver } from "../port/dummy/driver.ts";
import { nullDriver } from "../port/null/driver.ts";
import { patchDriver } from "../port/patch/driver.ts";
import { pcapDriver } from "../port/pcap/driver.ts";
import type { PortDriver, PortType } from "../port/port.ts";
import { internalDriver, tapDriver } from "../port/tap/driver.ts";
import { tunnelDrivers } from "../port/tunnel/driver.ts";

export const PORT_DRIVERS: ReadonlyMap<PortType, PortDriver> = new Map(
  [
    pcapDriver,
    nullDriver,
    dummyDriver,
    tapDriver,
    internalDriver,
    patchDriver,
    afPacketDriver,
    afxdpDriver,
    ...tunnelDrivers,
  ].map((driver) => [driver.type, driver]),
);
