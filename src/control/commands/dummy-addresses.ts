// netdev-dummy/ip4addr and ip6addr: addresses of ours at a dummy port. As in OVS they bring no routes with them.
import { isDummyPort } from "../../port/dummy/driver.ts";
import { isIpv4, type Prefix, parsePrefix } from "../../tunnel/ip.ts";
import { type Command, CommandError } from "../command.ts";
import type { SwitchView } from "../switch-view.ts";
import type { Tunnels } from "../tunnels.ts";
import { answer } from "./answer.ts";

export function dummyAddressCommands(view: SwitchView, tunnels: Tunnels): Command[] {
  const command = (name: string, usage: string, kind: string, isV4: boolean): Command => ({
    name,
    usage,
    summary: `give a dummy port an ${kind} address of our own`,
    argumentCountMin: 2,
    argumentCountMax: 2,
    run: ([portName, text]) => {
      const port = view.ports.byName(portName!);
      if (port === undefined || !isDummyPort(port)) throw new CommandError("Unknown Dummy Interface");
      const prefix = parsePrefix(text!);
      if (prefix === undefined || isIpv4(prefix.ip) !== isV4) {
        throw new CommandError(`${text}: invalid ${kind} address`);
      }
      const known = tunnels.endpoint(portName!)?.addresses ?? [];
      tunnels.setAddresses(port, withAddress(known, prefix), false);
      return answer("OK", {});
    },
  });
  return [
    command("netdev-dummy/ip4addr", "[netdev] ipaddr/mask-prefix-len", "IP", true),
    command("netdev-dummy/ip6addr", "[netdev] ip6addr", "IPv6", false),
  ];
}

const withAddress = (known: readonly Prefix[], added: Prefix): Prefix[] => [
  ...known.filter(({ ip }) => ip !== added.ip),
  added,
];
