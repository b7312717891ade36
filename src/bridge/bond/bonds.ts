// All bonds of a switch: which port belongs to which, the subjects that flows rest on, and the flows of packets that come
// back from a recirculation through a balance-tcp bond: they match recirc_id and dp_hash's low eight bits, and go to the
// bucket's member.
//
// Subjects stand above those of the learning policy (48-bit addresses as destination and as source). A flow that one
// bond concerns rests on that bond's bucket, or on whom it lets in; a flow that several concern rests on any change.
import { ACTION } from "../../action/attributes.ts";
import { getNumber } from "../../flow/key.ts";
import { NlWriter } from "../../flow/nlattr.ts";
import { BOND_BUCKETS } from "../../memory/region-plan.ts";
import type { FlowDecision } from "../../upcall/policy.ts";
import { Bond, type BondObserver, type BondSettings } from "./bond.ts";
import { type BondView, viewBond } from "./bond-view.ts";
import type { BondMember, LinkState } from "./member.ts";
import { memberMask } from "./member-mask.ts";

const SUBJECT_BASE = 2 ** 49;
/** Buckets, and one more for who is let in. */
const SUBJECTS_PER_BOND = 2 * BOND_BUCKETS;
const INPUT = BOND_BUCKETS;
/** Of flows that more than one bond concerns. No bond has number 0. */
export const ANY_BOND = SUBJECT_BASE;
const BUCKET_MASK = BOND_BUCKETS - 1;

export const bucketSubject = (bond: Bond, bucket: number): number =>
  SUBJECT_BASE + bond.settings.id * SUBJECTS_PER_BOND + bucket;
export const inputSubject = (bond: Bond): number => bucketSubject(bond, INPUT);

/** What lb_output sends by. */
export interface MemberTable {
  /** The port of each bucket, NO_PORT where there is none. */
  set(bondId: number, portNos: readonly number[]): void;
  /** Bytes that each bucket has carried. */
  bucketBytes(bondId: number): ArrayLike<number>;
}

const NO_PORT = -1;

/** A port as a member of its bond. */
export interface Membership {
  readonly bond: Bond;
  readonly member: BondMember;
}

export class Bonds implements BondObserver {
  readonly all: readonly Bond[];
  /** Those that hash source addresses. */
  readonly bySource: readonly Bond[];
  readonly #table: MemberTable | undefined;
  readonly #byPort = new Map<number, Membership>();
  /** Bonds whose buckets lb_output does not know yet. */
  readonly #unpublished = new Set<Bond>();
  /** Bonds whose active member is another one since the last call of takeActiveChange(). */
  readonly #activeChanged = new Set<Bond>();
  readonly #onNotice: (text: string) => void;
  #changed = new Set<number>();

  /**
   * @param table the buckets that lb_output reads; undefined when no bond uses it
   * @param onNotice told in words what becomes of bonds
   */
  constructor(
    settings: readonly BondSettings[] = [],
    table?: MemberTable,
    onNotice: (text: string) => void = () => {},
  ) {
    this.all = settings.map((each) => new Bond(each, this));
    this.bySource = this.all.filter((bond) => bond.settings.mode === "balance-slb");
    this.#table = table;
    this.#onNotice = onNotice;
  }

  get exist(): boolean {
    return this.all.length > 0;
  }

  byName(name: string): Bond | undefined {
    return this.all.find((bond) => bond.settings.name === name);
  }

  /** By the number that the learning policy knows it under. */
  byPortNo(portNo: number): Bond | undefined {
    return this.all.find((bond) => bond.portNo === portNo);
  }

  /** By a member's port. */
  byPort(portNo: number): Membership | undefined {
    return this.#byPort.get(portNo);
  }

  /** False when no bond has a member of that name. */
  openPort(portNo: number, name: string, link: LinkState, now: number): boolean {
    for (const bond of this.all) {
      const member = bond.member(name);
      if (member === undefined) continue;
      this.#byPort.set(portNo, { bond, member });
      this.chargeFromTable(bond);
      bond.attach(member, portNo, link, now);
      this.inputChanged(bond);
      this.publish();
      return true;
    }
    return false;
  }

  /** A port's link is another; of no concern when it is no member. */
  setLink(portNo: number, link: LinkState, now: number): void {
    const membership = this.#byPort.get(portNo);
    if (membership === undefined) return;
    this.chargeFromTable(membership.bond);
    membership.bond.setLink(membership.member, link, now);
    this.publish();
  }

  /** False when it is no member of a bond. */
  closePort(portNo: number, now: number): boolean {
    const membership = this.#byPort.get(portNo);
    if (membership === undefined) return false;
    this.#byPort.delete(portNo);
    membership.bond.detach(membership.member, now);
    this.inputChanged(membership.bond);
    this.publish();
    return true;
  }

  /** Carries out what is due, and has lb_output send by what changed since the last call. */
  run(now: number): void {
    for (const bond of this.all) {
      if (now >= bond.nextDueMillis) this.chargeFromTable(bond);
      bond.run(now);
    }
    this.publish();
  }

  /** Has lb_output send by the buckets as they are. */
  publish(): void {
    for (const bond of this.#unpublished) {
      const portNos = Array.from(
        { length: BOND_BUCKETS },
        (_, bucket) => bond.holder(bucket)?.portNo ?? NO_PORT,
      );
      this.#table?.set(bond.settings.id, portNos);
    }
    this.#unpublished.clear();
  }

  /** What lb_output sent since the last call. */
  chargeFromTable(bond: Bond): void {
    if (!bond.settings.usesLbOutput || this.#table === undefined) return;
    const bytes = this.#table.bucketBytes(bond.settings.id);
    for (let bucket = 0; bucket < BOND_BUCKETS; bucket += 1) bond.charge.addTotal(bucket, bytes[bucket]!);
  }

  /** All bonds as commands show them. */
  view(now: number): BondView[] {
    return this.all.map((bond) => {
      this.chargeFromTable(bond);
      return viewBond(bond, now);
    });
  }

  /** A bucket's flow; null when the key is of no packet that a bond recirculated. */
  decide(key: Uint8Array): FlowDecision | null {
    const bond = this.#recirculatedBy(key);
    if (bond === undefined) return null;
    const bucket = getNumber(key, "dp_hash") & BUCKET_MASK;
    const portNo = bond.choose(bucket)?.portNo;
    const actions = new NlWriter();
    if (portNo !== undefined) actions.putU32(ACTION.output, portNo);
    return {
      kind: "flow",
      mask: memberMask(key),
      actions: actions.finish(),
      subjects: [bucketSubject(bond, bucket)],
    };
  }

  /** Charges a flow's bytes to its bucket. False when its packets were not recirculated by a bond. */
  charge(key: Uint8Array, bytes: number): boolean {
    const bond = this.#recirculatedBy(key);
    bond?.charge.add(getNumber(key, "dp_hash") & BUCKET_MASK, bytes);
    return bond !== undefined;
  }

  /** Subjects that changed since the last call. */
  takeChanged(): ReadonlySet<number> {
    const changed = this.#changed;
    if (changed.size > 0) this.#changed = new Set();
    return changed;
  }

  bucketChanged(bond: Bond, bucket: number): void {
    if (bond.settings.usesLbOutput) this.#unpublished.add(bond);
    this.#changed.add(bucketSubject(bond, bucket)).add(ANY_BOND);
  }

  inputChanged(bond: Bond): void {
    this.#changed.add(inputSubject(bond)).add(ANY_BOND);
  }

  /** Under balance-tcp all members are one port to the other side, which finds stations through any. */
  activeChanged(bond: Bond): void {
    if (bond.settings.mode !== "balance-tcp") this.#activeChanged.add(bond);
  }

  /** A bond whose active member is another one since it was last returned. */
  takeActiveChange(): Bond | undefined {
    const [bond] = this.#activeChanged;
    if (bond !== undefined) this.#activeChanged.delete(bond);
    return bond;
  }

  notice(text: string): void {
    this.#onNotice(text);
  }

  #recirculatedBy(key: Uint8Array): Bond | undefined {
    const id = getNumber(key, "recirc_id");
    const bond = id === 0 ? undefined : this.all[id - 1];
    return bond?.settings.mode === "balance-tcp" ? bond : undefined;
  }
}
