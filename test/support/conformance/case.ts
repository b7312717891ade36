// One case of the comparison with the real Open vSwitch: flows, and packets that arrive on port 1 one after the other.
// It is plain text, so that a case can be printed, kept and run again.

export interface FlowText {
  readonly flow: string;
  readonly actions: string;
}

export interface ConformanceCase {
  readonly flows: readonly FlowText[];
  /** Hex. */
  readonly packets: readonly string[];
}

export interface UpcallText {
  readonly kind: "miss" | "action";
  readonly key: string;
  /** Of the action's userdata what Open vSwitch tells: `size N`, or `type T` where it has the size of OVS's own cookies. */
  readonly userdata?: string;
}

export interface PortCounts {
  readonly portNo: number;
  readonly rxPackets: number;
  readonly rxBytes: number;
  readonly txPackets: number;
  readonly txBytes: number;
}

/** `packets:N bytes:N` received and sent, by port of those that counted something. */
export type PortCountText = readonly [portNo: number, received: string, sent: string];

export interface DumpLines {
  readonly short: readonly string[];
  /** Of dump-flows -m. */
  readonly verbose: readonly string[];
}

/** What a switch did with a case. */
export interface CaseAnswer {
  /** By flow: null where it was taken, else the refusal. */
  readonly refusals: readonly (string | null)[];
  /** By port, what it sent in order, as hex; the order between ports is not told. */
  readonly outputs: readonly (readonly [portNo: number, packets: readonly string[]])[];
  readonly upcalls: readonly UpcallText[];
  readonly ports: readonly PortCountText[];
  /** Sorted; without what depends on time and chance: ufid and last use. */
  readonly dumps: DumpLines;
}

export const CASE_IN_PORT = 1;
export const CASE_PORT_COUNT = 4;
/** No port has it. */
export const CASE_ABSENT_PORT = 9;
export const CASE_VLAN_LIMIT = 2;

/** Splits at commas that stand in no bracket. */
export function splitText(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at]!;
    if (character === "(" || character === "{") depth += 1;
    else if (character === ")" || character === "}") depth -= 1;
    else if (character === "," && depth === 0) {
      parts.push(text.slice(from, at));
      from = at + 1;
    }
  }
  if (from < text.length) parts.push(text.slice(from));
  return parts;
}

/** Names of all actions of a list, nested ones too: `set(ipv4)`, `output`, `clone`. */
export function actionNames(actions: string): string[] {
  return splitText(actions).flatMap((action) => {
    const open = action.indexOf("(");
    if (open < 0) return [/^\d+$/.test(action) ? "output" : action];
    const name = action.slice(0, open);
    const inner = action.slice(open + 1, -1);
    if (name === "set") return [`set(${inner.slice(0, inner.indexOf("("))})`];
    return [name, ...nestedLists(name, inner).flatMap(actionNames)];
  });
}

/** The lists inside an action's brackets. */
export function nestedLists(name: string, inner: string): string[] {
  if (name === "clone") return [inner];
  if (name !== "sample" && name !== "check_pkt_len") return [];
  return splitText(inner).flatMap((part) => {
    const found = /^(?:actions|gt|le)\((.*)\)$/s.exec(part);
    return found === null ? [] : [found[1]!];
  });
}

/** A dumped line without what depends on time and chance, and without OVS's own layout of the mask. */
export function maskDump(line: string): string {
  return line
    .replace(/^ufid:[^,]*, /, "")
    .replace(/, used:[^,]*/, "")
    .replace(/, dp-extra-info:.*$/, "");
}

/** Hash values are the one thing in a key that may differ: both hash with a secret. Whether there is one is compared. */
export function maskKey(key: string): string {
  return key.replace(/dp_hash\((0x[0-9a-f]*[1-9a-f][0-9a-f]*|[1-9]\d*)\)/, "dp_hash(some)");
}

/** What the ports of a case counted from `before` on. */
export function portCountTexts(after: readonly PortCounts[], before: readonly PortCounts[]): PortCountText[] {
  return after.flatMap((counts): PortCountText[] => {
    const { portNo } = counts;
    const earlier = before.find((other) => other.portNo === portNo);
    const grown = (name: keyof PortCounts): number => counts[name] - (earlier?.[name] ?? 0);
    if (portNo > CASE_PORT_COUNT || grown("rxPackets") + grown("txPackets") === 0) return [];
    const received = `packets:${grown("rxPackets")} bytes:${grown("rxBytes")}`;
    return [[portNo, received, `packets:${grown("txPackets")} bytes:${grown("txBytes")}`]];
  });
}
