// set(): text to attributes and back. Control path.
//
// The text is that of one key attribute, with masks. When all bits of the attribute are named it becomes SET,
// else SET_MASKED, whose attribute holds value and mask one behind the other. Two attributes are unlike the
// rest: tunnel has no masked form, and nsh is always masked, value and mask standing side by side in each of
// its nested parts.
import { attributeAt, findAttribute, NlWriter, payloadOf } from "../../flow/nlattr.ts";
import { KEY_ATTR, KEY_ATTR_ROWS, NSH_KEY_ATTR } from "../../flow/odp/attributes.ts";
import { formatFlow } from "../../flow/odp/format-key.ts";
import type { KeyParse } from "../../flow/odp/key-parse.ts";
import { parseAttribute } from "../../flow/odp/parse-key.ts";
import { readNshMembers } from "../../flow/odp/parse-nsh.ts";
import { OdpSyntaxError } from "../../flow/odp/text-cursor.ts";
import { ACTION } from "../attributes.ts";
import type { ActionParse } from "./action-parse.ts";
import { type PortNames, printHexBytes } from "./action-print.ts";

export function parseSet({ cursor, writer, ports }: ActionParse): void {
  cursor.expect("(");
  const from = cursor.at;
  const allowMask = !cursor.startsWith("tunnel(");
  const [key, mask] = [new NlWriter(), new NlWriter()];
  const parse: KeyParse = { cursor, key, mask, rules: { allowMask }, ports, depth: 0 };
  if (cursor.skip("nsh(")) {
    writeNsh(parse, writer);
  } else {
    parseAttribute(parse);
    if (key.size === 0) throw new OdpSyntaxError(cursor.text, from, "a key attribute that has a value");
    writeSet(writer, key.finish(), mask.finish(), allowMask);
  }
  cursor.expect(")");
}

function writeSet(writer: NlWriter, keyBytes: Uint8Array, maskBytes: Uint8Array, allowMask: boolean): void {
  const key = attributeAt(keyBytes, 0, keyBytes.length)!;
  const value = payloadOf(keyBytes, key);
  const maskAttribute = attributeAt(maskBytes, 0, maskBytes.length);
  const mask = maskAttribute && payloadOf(maskBytes, maskAttribute);
  const isExact =
    !allowMask || mask === undefined || mask.length !== value.length || mask.every((byte) => byte === 0xff);
  const set = writer.begin(isExact ? ACTION.set : ACTION.setMasked);
  writer.put(key.type, isExact ? value : Uint8Array.from([...value, ...mask]));
  writer.end(set);
}

function writeNsh(parse: KeyParse, writer: NlWriter): void {
  const { key, mask } = readNshMembers(parse);
  const set = writer.begin(ACTION.setMasked);
  const nsh = writer.begin(KEY_ATTR.nsh);
  writer.put(NSH_KEY_ATTR.base, Uint8Array.from([...key.base, ...mask.base]));
  writer.put(NSH_KEY_ATTR.md1, Uint8Array.from([...key.contexts, ...mask.contexts]));
  writer.end(nsh);
  writer.end(set);
}

export function printSet(
  bytes: Uint8Array,
  start: number,
  end: number,
  names: PortNames | undefined,
): string {
  return `set(${formatFlow(bytes.slice(start, end), undefined, { names })})`;
}

export function printSetMasked(
  bytes: Uint8Array,
  start: number,
  end: number,
  names: PortNames | undefined,
): string {
  const field = attributeAt(bytes, start, end);
  if (field === undefined) return `set(error: ${printHexBytes(bytes, start, end)})`;
  const [value, mask] =
    field.type === KEY_ATTR.nsh
      ? splitNsh(bytes, field.start, field.end)
      : splitPayload(bytes, field.start, field.end);
  const [key, keyMask] = [wrap(field.type, value), wrap(field.type, mask)];
  const text = formatFlow(key, keyMask, { names });
  if (text !== "") return `set(${text})`;
  // Nothing is under the mask: a struct shows no member, a number says so.
  const name = KEY_ATTR_ROWS[field.type]?.name ?? `key${field.type}`;
  const isNumber =
    value.length <= 4 && ![KEY_ATTR.tcp, KEY_ATTR.udp, KEY_ATTR.sctp].some((type) => type === field.type);
  return `set(${isNumber ? formatFlow(key, keyMask, { names, verbose: true }) : `${name}()`})`;
}

function splitPayload(bytes: Uint8Array, start: number, end: number): [value: Uint8Array, mask: Uint8Array] {
  const middle = start + ((end - start) >>> 1);
  return [bytes.slice(start, middle), bytes.slice(middle, end)];
}

/** nsh's nested parts, each split in its two halves. */
function splitNsh(bytes: Uint8Array, start: number, end: number): [value: Uint8Array, mask: Uint8Array] {
  const [value, mask] = [new NlWriter(), new NlWriter()];
  for (const type of [NSH_KEY_ATTR.base, NSH_KEY_ATTR.md1]) {
    const part = findAttribute(bytes, type, start, end);
    if (part === undefined) continue;
    const [partValue, partMask] = splitPayload(bytes, part.start, part.end);
    value.put(type, partValue);
    mask.put(type, partMask);
  }
  return [value.finish(), mask.finish()];
}

function wrap(type: number, payload: Uint8Array): Uint8Array {
  const writer = new NlWriter();
  writer.put(type, payload);
  return writer.finish();
}
