// The key of one packet as ODP text: as OVS's daemon prints it in a miss upcall, with metadata that is zero left out
// (an OVS without it would print the same packet the same way). in_port stays whatever it is: 0 is a port.

import { attributes, NlWriter, payloadOf } from "../nlattr.ts";
import { KEY_ATTR } from "./attributes.ts";
import { formatFlow } from "./format-key.ts";
import { attributesFromKey } from "./from-key.ts";

const METADATA_ATTRS: ReadonlySet<number> = new Set([
  KEY_ATTR.priority,
  KEY_ATTR.skbMark,
  KEY_ATTR.ctState,
  KEY_ATTR.ctZone,
  KEY_ATTR.ctMark,
  KEY_ATTR.ctLabels,
  KEY_ATTR.recircId,
  KEY_ATTR.dpHash,
  KEY_ATTR.packetType,
]);

/** @param vlanLimit the one that the key was extracted under: a tag beyond it is no tag, but an Ethertype */
export function formatPacketKey(key: Uint8Array, vlanLimit: number): string {
  const exported = attributesFromKey(key, undefined, { vlanLimit }).key;
  const writer = new NlWriter();
  for (const attribute of attributes(exported)) {
    const payload = payloadOf(exported, attribute);
    const isZero = payload.every((byte) => byte === 0);
    if (!isZero || !METADATA_ATTRS.has(attribute.type)) writer.put(attribute.type, payload);
  }
  return formatFlow(writer.finish(), undefined);
}
