// The metadata of a packet that came up: what its bytes do not say. A packet that recirculated, came out of a tunnel or
// was marked cannot go back as if it had just been received, because the worker would give it a fresh key; it goes back
// with its metadata in front of an action list (action/attributes.ts, ACTION_METADATA).
import { ACTION_METADATA } from "../action/attributes.ts";
import { FIELDS, type FieldGroup, KEY_LINE_BYTES } from "../flow/fields.ts";
import { NLA_HEADER_BYTES } from "../flow/nlattr.ts";

const METADATA_GROUPS: ReadonlySet<FieldGroup> = new Set<FieldGroup>(["metadata", "conntrack", "tunnel"]);

const METADATA_FIELDS = FIELDS.filter(({ group }) => METADATA_GROUPS.has(group));

const isSet = (key: Uint8Array, offset: number, bytes: number): boolean => {
  for (let at = offset; at < offset + bytes; at += 1) if (key[at] !== 0) return true;
  return false;
};

/** Whether the key is that of a packet as a port receives it: no metadata but the port. */
export function isAsReceived(key: Uint8Array): boolean {
  return METADATA_FIELDS.every(({ name, offset, bytes }) => name === "in_port" || !isSet(key, offset, bytes));
}

/** An action list under the key's metadata; an empty one has the packet looked up again. */
export function underMetadata(key: Uint8Array, actions: Uint8Array): Uint8Array {
  const last = METADATA_FIELDS.findLast(({ offset, bytes }) => isSet(key, offset, bytes));
  const end = last === undefined ? 1 : last.offset + last.bytes;
  const keyBytes = Math.ceil(end / KEY_LINE_BYTES) * KEY_LINE_BYTES;
  const list = new Uint8Array(NLA_HEADER_BYTES + keyBytes + actions.length);
  const view = new DataView(list.buffer);
  view.setUint16(0, NLA_HEADER_BYTES + keyBytes, true);
  view.setUint16(2, ACTION_METADATA, true);
  list.set(key.subarray(0, keyBytes), NLA_HEADER_BYTES);
  list.set(actions, NLA_HEADER_BYTES + keyBytes);
  return list;
}
