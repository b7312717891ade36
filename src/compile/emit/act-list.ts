// A list of actions as straight code: action/executor.ts carried out on the shape instead of on the list. Which action gets
// the packet itself and which a copy, what trunc cuts, where a list ends, is decided here once and not for each packet.
import { ACTION } from "../../flow/action-numbers.ts";
import { NLA_HEADER_BYTES } from "../../flow/nlattr.ts";
import { ifElse, select } from "../ops/control.ts";
import type { Statement } from "../ops/expression.ts";
import { i32 } from "../ops/numeric.ts";
import { bytesNow, type Cut, copyPacket, drop, output, truncate, writeRecord } from "./act-handover.ts";
import { hash } from "./act-hash.ts";
import { popMpls, pushMpls } from "./act-mpls.ts";
import { type Choice, chooseNested, type Part } from "./act-nested.ts";
import { recirculate } from "./act-recirc.ts";
import { set } from "./act-set.ts";
import { popVlan, pushVlan } from "./act-tag.ts";
import { type Hand, NoTemplate, type Template } from "./act-template.ts";
import { decrementTtl } from "./act-ttl.ts";

/** By action number, as the executor has them: what takes the packet or a copy, and what needs to see it. */
const SENDS = (1 << ACTION.output) | (1 << ACTION.userspace) | (1 << ACTION.psample) | (1 << ACTION.lbOutput);
const HOLDS_LIST =
  (1 << ACTION.sample) | (1 << ACTION.clone) | (1 << ACTION.checkPktLen) | (1 << ACTION.decTtl);
const TAKES_PACKET =
  SENDS | (HOLDS_LIST & ~(1 << ACTION.decTtl)) | (1 << ACTION.recirc) | (1 << ACTION.tunnelPop);
const NEEDS_PACKET = TAKES_PACKET | (1 << ACTION.meter) | (1 << ACTION.decTtl);
const TAKES_CUT = SENDS | (1 << ACTION.clone) | (1 << ACTION.tunnelPop);

const has = (set: number, type: number): boolean => ((set >>> type) & 1) !== 0;

/** A list, or a nested one. */
interface List {
  readonly template: Template;
  readonly hand: Hand;
  readonly end: number;
  /** Whether nothing of the packet is left when the list is done. */
  readonly isTail: boolean;
}

/** The code of a whole list. @throws NoTemplate when there is none for it */
export const actionList = (template: Template, hand: Hand): Statement[] =>
  carryOut({ template, hand, end: template.shapeBytes, isTail: true }, 0, null);

function carryOut(list: List, start: number, startCut: Cut): Statement[] {
  const { template, hand, end } = list;
  const statements: Statement[] = [];
  let cut = startCut;
  let at = start;
  while (at < end) {
    const next = nextAction(template, at);
    const type = template.u16(at + 2);
    if (has(TAKES_PACKET, type)) {
      if (!isNeeded(template, next, end)) return [...statements, ...give(list, type, at, cut)];
      statements.push(...giveCopy(list, type, at, cut));
      if (has(TAKES_CUT, type)) cut = null;
    } else if (type === ACTION.trunc) {
      cut = template.code.local(`cut${hand.depth}`);
      statements.push(truncateNext(template, hand, at, cut));
    } else if (type === ACTION.decTtl) {
      const { load, isExpired, decrement } = decrementTtl(template, hand);
      const expired = give({ ...list, hand: hand.fork() }, type, at, null);
      const rest = [...decrement, ...carryOut(list, next, cut)];
      return [...statements, ...load, ifElse(isExpired, expired, rest)];
    } else if (type === ACTION.drop) {
      break;
    } else {
      statements.push(...change(template, hand, type, at));
    }
    at = next;
  }
  return [...statements, ...drop(template, hand, "flow_drop")];
}

const nextAction = (template: Template, at: number): number => at + ((template.u16(at) + 3) & ~3);

/** Whether an action from `at` on has to see the packet. */
function isNeeded(template: Template, at: number, end: number): boolean {
  for (let action = at; action < end; action = nextAction(template, action))
    if (has(NEEDS_PACKET, template.u16(action + 2))) return true;
  return false;
}

/** The packet itself to the action that takes it. */
function give(list: List, type: number, at: number, cut: Cut): Statement[] {
  const { template, hand, isTail } = list;
  if (type === ACTION.output) {
    return [
      ...(cut === null ? writeRecord(template, hand) : truncate(template, hand, cut)),
      ...output(template, hand.frame.get, template.arg(at + NLA_HEADER_BYTES)),
    ];
  }
  if (type === ACTION.recirc) {
    if (!isTail) throw new NoTemplate();
    return recirculate(template, hand, at);
  }
  if (!has(HOLDS_LIST, type)) throw new NoTemplate();
  const carryOutPart = (part: Part): Statement[] => {
    const branch = hand.fork();
    if (part.start >= part.end) return drop(template, branch, "flow_drop");
    return carryOut({ ...list, hand: branch, end: part.end }, part.start, type === ACTION.clone ? cut : null);
  };
  return nested(chooseNested(template, hand, type, at, cut), carryOutPart);
}

/** A copy to the action that takes the packet, which goes on unchanged. */
function giveCopy(list: List, type: number, at: number, cut: Cut): Statement[] {
  const { template, hand } = list;
  if (type === ACTION.output) {
    const { copy, statements } = copyPacket(template, hand, cut);
    return [...statements, ...output(template, copy.frame.get, template.arg(at + NLA_HEADER_BYTES))];
  }
  if (!has(HOLDS_LIST, type)) throw new NoTemplate();
  const carryOutPart = (part: Part): Statement[] => {
    if (part.start >= part.end) return [];
    const { copy, statements } = copyPacket(template, hand, null);
    const of: List = { template, hand: copy, end: part.end, isTail: false };
    return [...statements, ...carryOut(of, part.start, type === ACTION.clone ? cut : null)];
  };
  // Before the branches, because what stands behind them counts on it.
  const record = writeRecord(template, hand);
  return [...record, ...nested(chooseNested(template, hand, type, at, cut), carryOutPart)];
}

function nested(
  { condition, chosen, otherwise }: Choice,
  carryOutPart: (part: Part) => Statement[],
): Statement[] {
  const first = carryOutPart(chosen);
  return condition === null ? first : [ifElse(condition, first, carryOutPart(otherwise))];
}

/** What is taken off the next output: bytes beyond the length that the packet may have, as it is by now. */
function truncateNext(template: Template, hand: Hand, at: number, cut: NonNullable<Cut>): Statement {
  template.guardWholeChecksum();
  template.guardSingleFrame();
  const bytesMax = template.arg(at + NLA_HEADER_BYTES);
  const bytes = bytesNow(template, hand);
  return cut.set(select(i32.sub(bytes, bytesMax), i32.const(0), i32.gt_u(bytes, bytesMax)));
}

function change(template: Template, hand: Hand, type: number, at: number): Statement[] {
  switch (type) {
    case ACTION.set:
    case ACTION.setMasked:
      return set(template, hand, at, type === ACTION.setMasked);
    case ACTION.pushVlan:
      hand.isChanged = true;
      return pushVlan(template, hand, at);
    case ACTION.popVlan:
      hand.isChanged = true;
      return popVlan(template, hand);
    case ACTION.pushMpls:
      hand.isChanged = true;
      return pushMpls(template, hand, at);
    case ACTION.popMpls:
      hand.isChanged = true;
      return popMpls(template, hand, at);
    case ACTION.hash:
      return hash(template, hand, at);
    default:
      throw new NoTemplate();
  }
}
