// What the command files share: arguments as dpctl reads them, and the shape of refusals.
import { CommandError, type CommandResult, MildError } from "../command.ts";

/**
 * OVS's daemon puts its program name before dpctl's refusals; scripts of its users look for the whole line, so it
 * stays theirs.
 */
const PROGRAM = "ovs-vswitchd";

/** Texts of the errno names that commands answer with (strerror). */
const ERRNO_TEXTS = {
  EPERM: "Operation not permitted",
  ENOENT: "No such file or directory",
  E2BIG: "Argument list too long",
  EBUSY: "Device or resource busy",
  EEXIST: "File exists",
  ENODEV: "No such device",
  EINVAL: "Invalid argument",
  EFBIG: "File too large",
  ENOSPC: "No space left on device",
  EOPNOTSUPP: "Operation not supported",
  EAFNOSUPPORT: "Address family not supported by protocol",
} as const;
export type ErrnoName = keyof typeof ERRNO_TEXTS;

export const errnoText = (name: string): string => ERRNO_TEXTS[name as ErrnoName] ?? name;

/** A dpctl refusal: what was being done, why not, and what would help on lines of their own. */
export function refusal(doing: string, errno: ErrnoName | null, ...hints: readonly string[]): CommandError {
  const because = errno === null ? "" : ` (${ERRNO_TEXTS[errno]})`;
  return new CommandError([`${PROGRAM}: ${doing}${because}`, ...hints].join("\n"));
}

/** A refusal that OVS prints with exit code 0. */
export const mildRefusal = (doing: string, ...hints: readonly string[]): MildError =>
  new MildError([`${PROGRAM}: ${doing}`, ...hints].join("\n"));

export function answer(lines: readonly string[] | string, json: CommandResult["json"]): CommandResult {
  return { text: typeof lines === "string" ? lines : lines.map((line) => `${line}\n`).join(""), json };
}

/** Each value as `make` makes it of it, when its turn comes. */
export async function* mapped<T, U>(values: AsyncIterable<T>, make: (value: T) => U): AsyncGenerator<U> {
  for await (const value of values) yield make(value);
}

/** Splits leading options off: `-m`, `-s`, `--names`; the rest in order. @throws CommandError for an option not known */
export function splitOptions(
  args: readonly string[],
  known: readonly string[],
): { readonly options: ReadonlySet<string>; readonly rest: string[] } {
  const options = new Set<string>();
  const rest: string[] = [];
  for (const arg of args) {
    if (!/^--?[a-z]/.test(arg)) rest.push(arg);
    else if (known.includes(arg)) options.add(arg);
    // unixctl's text: it refuses before dpctl is asked.
    else throw new CommandError(`Unrecognized option ${arg}`);
  }
  return { options, rest };
}
