// dpctl/normalize-actions: an action list sorted by what leaves: for each set of tags that packets of a flow have on their
// way through the list, what is done to them under these, runs of outputs in the order of their numbers. OVS's tests
// compare lists so that differ in their pushing and popping alone. Sets of tags stand in the order of their bytes, and
// nothing but the next set's name ends one, as in OVS.
import { ACTION } from "../../action/attributes.ts";
import { parseActions } from "../../action/odp/parse-actions.ts";
import { printActions } from "../../action/odp/print-actions.ts";
import { VLAN_CFI } from "../../flow/fields.ts";
import { getNumber } from "../../flow/key.ts";
import { attributes, findAttribute, NlWriter, payloadOf } from "../../flow/nlattr.ts";
import { KEY_ATTR } from "../../flow/odp/attributes.ts";
import { FlowKeyError } from "../../flow/odp/fit.ts";
import { formatFlow } from "../../flow/odp/format-key.ts";
import { parseExactKeyText } from "../../flow/odp/parse-key.ts";
import { OdpSyntaxError } from "../../flow/odp/text-cursor.ts";
import { keyFromAttributes } from "../../flow/odp/to-key.ts";
import { readBe16 } from "../../packet/bytes.ts";
import { ETH_TYPE, MPLS } from "../../packet/link-headers.ts";
import { type Command, CommandError, type CommandResult, UNLIMITED } from "../command.ts";
import { answer, refusal, splitOptions } from "./answer.ts";

/** Tags that a flow of OVS has room for. */
const TAGS_MAX = 2;

interface Tag {
  readonly tpid: number;
  readonly tci: number;
}

/** What is done to packets under these tags. */
interface Share {
  readonly tags: readonly Tag[];
  readonly actions: { readonly type: number; readonly payload: Uint8Array }[];
}

export function normalizeActions(vlanLimit: number): Command {
  return {
    name: "dpctl/normalize-actions",
    usage: "actions",
    summary: "FLOW ACTIONS [NAME=NUMBER...]: actions by the tags that packets have then; takes -m",
    argumentCountMin: 2,
    argumentCountMax: UNLIMITED,
    run: (args) => {
      const { options, rest } = splitOptions(args, ["-m", "--more"]);
      const [flowText = "", actionText = "", ...names] = rest;
      const numbers = new Map(names.map(readName));
      const flow = orRefuse("odp_flow_key_from_string", () => parseExactKeyText(flowText, numbers));
      const lines = [`input flow: ${formatFlow(flow, undefined) || "<empty>"}`];
      try {
        return normalized(flow, actionText, numbers, vlanLimit, options.size > 0, lines);
      } catch (error) {
        if (error instanceof CommandError) throw new CommandError([...lines, error.message].join("\n"));
        throw error;
      }
    },
  };
}

function readName(text: string): [name: string, portNo: number] {
  const [, name, portNo] = /^(.+)=(\d+)$/.exec(text) ?? [];
  if (name === undefined) throw refusal(`${text}: expected NAME=NUMBER`, null);
  return [name, Number(portNo)];
}

function orRefuse<T>(doing: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof OdpSyntaxError)) throw error;
    const detail = doing === "odp_flow_key_from_string" ? ` (syntax error at ${error.rest})` : "";
    throw refusal(`${doing}${detail}`, "EINVAL", error.message);
  }
}

/** @param lines what has been told so far */
function normalized(
  flow: Uint8Array,
  actionText: string,
  numbers: ReadonlyMap<string, number>,
  vlanLimit: number,
  showsActions: boolean,
  lines: string[],
): CommandResult {
  const { fit, key, problem } = keyFromAttributes(flow, { vlanLimit });
  if (fit !== "perfect") {
    const reason = problem === undefined ? fit : new FlowKeyError(fit, problem).message;
    throw refusal(`odp_flow_key_to_flow failed (${reason})`, "EINVAL");
  }
  const actions = orRefuse("odp_actions_from_string", () => parseActions(actionText, numbers));
  if (showsActions) lines.push(`input actions: ${printActions(actions)}`);
  const mpls = mplsName(flow);
  const shares = byTags(tagsOf(key), actions).map(({ tags, actions }) => ({
    tags: tagsName(tags),
    mpls,
    actions: printActions(inOrder(actions)),
  }));
  const told = shares.map(({ tags, mpls, actions }) => `${tags}: ${mpls}: ${actions}`).join("");
  return answer([...lines, ...(told === "" ? [] : [told])], shares);
}

function byTags(tagsBefore: readonly Tag[], actions: Uint8Array): Share[] {
  const shares = new Map<string, Share>();
  let tags = tagsBefore;
  for (const attribute of attributes(actions)) {
    const payload = payloadOf(actions, attribute);
    if (attribute.type === ACTION.popVlan) {
      // A tag without the CFI bit is none to OVS's pop.
      if (((tags[0]?.tci ?? 0) & VLAN_CFI) !== 0) tags = tags.slice(1);
    } else if (attribute.type === ACTION.pushVlan) {
      tags = [{ tpid: readBe16(payload, 0), tci: readBe16(payload, 2) }, ...tags].slice(0, TAGS_MAX);
    } else {
      const name = sortName(tags);
      const share = shares.get(name) ?? { tags, actions: [] };
      share.actions.push({ type: attribute.type, payload });
      shares.set(name, share);
    }
  }
  return [...shares].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, share]) => share);
}

const hex16 = (value: number): string => value.toString(16).padStart(4, "0");

/** Its order is that of the tags' bytes; no tag is zeros. */
const sortName = (tags: readonly Tag[]): string =>
  tags.map(({ tpid, tci }) => hex16(tpid) + hex16(tci)).join("");

function tagsOf(key: Uint8Array): Tag[] {
  const all = [
    { tpid: getNumber(key, "vlan_tpid"), tci: getNumber(key, "vlan_tci") },
    { tpid: getNumber(key, "vlan2_tpid"), tci: getNumber(key, "vlan2_tci") },
  ];
  return all.filter(({ tci }) => tci !== 0);
}

/** Each run of outputs by their numbers. */
function inOrder(actions: Share["actions"]): Uint8Array {
  const out = new NlWriter();
  let run: Uint8Array[] = [];
  const flush = (): void => {
    const portNo = (payload: Uint8Array): number =>
      new DataView(payload.buffer, payload.byteOffset).getUint32(0, true);
    for (const payload of run.sort((a, b) => portNo(a) - portNo(b))) out.put(ACTION.output, payload);
    run = [];
  };
  for (const { type, payload } of actions) {
    if (type === ACTION.output) {
      run.push(payload);
      continue;
    }
    flush();
    out.put(type, payload);
  }
  flush();
  return out.finish();
}

function tagsName(tags: readonly Tag[]): string {
  if (tags.length === 0) return "no vlan";
  const name = ({ tpid, tci }: Tag): string => {
    const type = tpid === ETH_TYPE.vlan ? "" : `tpid=0x${hex16(tpid)},`;
    return `vlan(${type}vid=${tci & 0xfff},pcp=${tci >>> 13})`;
  };
  return tags.map(name).join(": ");
}

/** Of the first label, as the flow came. */
function mplsName(flow: Uint8Array): string {
  const found = findAttribute(flow, KEY_ATTR.mpls);
  if (found === undefined) return "no mpls";
  const payload = payloadOf(flow, found);
  const entry = new DataView(payload.buffer, payload.byteOffset).getUint32(0);
  const tc = (entry >>> MPLS.tcShift) & 7;
  return `mpls(label=${entry >>> MPLS.labelShift},tc=${tc},ttl=${entry & 0xff})`;
}
