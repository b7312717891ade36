// Which worker holds which queue, as a plain computation: what ports asked for (`Wanted`), and who is alive, give what
// each live worker should hold (`Held`). A dead worker's queues go to the others and back when it lives again.
//
// Rules. An rx queue of a dead worker goes to the live ones by turns. So does a tx queue, unless the adopter has one
// of its own for that port already: then what the dead one's kernel ring still holds waits for its return. Who reached
// a port through a dead worker reaches it through another owner.
import type { QueueAttachment } from "../port/port.ts";

/** How a worker reaches a port. */
export type TxRoute =
  | { readonly kind: "own"; readonly attachment: QueueAttachment }
  | { readonly kind: "via"; readonly owner: number; readonly portNo: number; readonly slot: number };

/** What one worker was told to hold, or holds. */
export interface Holding {
  rx: readonly QueueAttachment[];
  /** By slot. */
  readonly tx: ReadonlyMap<number, TxRoute>;
}

export const NOTHING_HELD: Holding = { rx: [], tx: new Map() };

/** What each worker should hold; nothing for those that are not alive. */
export function assign(wanted: readonly Holding[], alive: readonly number[]): Holding[] {
  const isAlive = (worker: number): boolean => alive.includes(worker);
  const adopter = (turn: number): number => alive[turn % alive.length]!;
  const rx = wanted.map(() => [] as QueueAttachment[]);
  const tx = wanted.map(() => new Map<number, TxRoute>());
  if (alive.length === 0) return wanted.map(() => NOTHING_HELD);
  for (const [worker, holding] of wanted.entries()) {
    for (const [turn, attachment] of holding.rx.entries()) {
      rx[isAlive(worker) ? worker : adopter(turn)]!.push(attachment);
    }
    for (const [slot, route] of holding.tx)
      if (isAlive(worker) && route.kind === "own") tx[worker]!.set(slot, route);
  }
  for (const [worker, holding] of wanted.entries()) {
    if (isAlive(worker)) continue;
    for (const [slot, route] of holding.tx) {
      const target = tx[adopter(slot)]!;
      if (route.kind === "own" && !target.has(slot)) target.set(slot, route);
    }
  }
  for (const worker of alive) {
    for (const [slot, route] of wanted[worker]!.tx) {
      const via = route.kind === "via" ? viaOwner(route, tx, slot) : undefined;
      if (via !== undefined && !tx[worker]!.has(slot)) tx[worker]!.set(slot, via);
    }
  }
  return wanted.map((_, worker) => ({ rx: rx[worker]!, tx: tx[worker]! }));
}

/** The route through the owner that was asked for, or through another when that one does not own a queue now. */
function viaOwner(
  route: TxRoute & { kind: "via" },
  tx: readonly ReadonlyMap<number, TxRoute>[],
  slot: number,
): TxRoute | undefined {
  const owns = (worker: number): boolean => tx[worker]?.get(slot)?.kind === "own";
  const owner = owns(route.owner) ? route.owner : tx.findIndex((_, worker) => owns(worker));
  return owner < 0 ? undefined : { ...route, owner };
}

/** What has to change in one worker, in the order in which it has to happen. */
export interface Change {
  readonly detachRx: readonly QueueAttachment[];
  /** Slots whose own queue or route goes and none takes its place. */
  readonly detachTx: readonly number[];
  /** Routes through others. They take the place of own queues, which somebody else then attaches. */
  readonly via: readonly (TxRoute & { kind: "via" })[];
  readonly attachTx: readonly QueueAttachment[];
  readonly attachRx: readonly QueueAttachment[];
}

export function difference(from: Holding, to: Holding): Change {
  const routes = [...to.tx].filter(([slot, route]) => !sameRoute(from.tx.get(slot), route));
  return {
    detachRx: from.rx.filter((attachment) => !to.rx.includes(attachment)),
    detachTx: [...from.tx.keys()].filter((slot) => !to.tx.has(slot)),
    via: routes.flatMap(([, route]) => (route.kind === "via" ? [route] : [])),
    attachTx: routes.flatMap(([, route]) => (route.kind === "own" ? [route.attachment] : [])),
    attachRx: to.rx.filter((attachment) => !from.rx.includes(attachment)),
  };
}

function sameRoute(left: TxRoute | undefined, right: TxRoute): boolean {
  if (left?.kind === "own") return right.kind === "own" && left.attachment === right.attachment;
  return (
    left?.kind === "via" && right.kind === "via" && left.owner === right.owner && left.portNo === right.portNo
  );
}
