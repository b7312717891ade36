// Errors as netlink carries them: an errno, a text (extended ack), and where in the message the offence stands.
import { constants } from "node:os";

export type ErrnoName = keyof typeof constants.errno;

export const errnoNumber = (name: ErrnoName): number => constants.errno[name];

const NAMES: ReadonlyMap<number, ErrnoName> = new Map(
  (Object.entries(constants.errno) as [ErrnoName, number][]).map(([name, number]) => [number, name]),
);

/** The name of an errno of this machine, `errno N` for one without. */
export const errnoName = (number: number): string => NAMES.get(number) ?? `errno ${number}`;

/** A message, or what it asks for, is refused. */
export class NetlinkError extends Error {
  readonly errno: ErrnoName;
  /** Offset of what is wrong, from the message's first byte; undefined when it is about the whole. */
  readonly byteOffset: number | undefined;

  constructor(errno: ErrnoName, message: string, byteOffset?: number | undefined) {
    super(message);
    this.name = "NetlinkError";
    this.errno = errno;
    this.byteOffset = byteOffset;
  }
}
