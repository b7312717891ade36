// Exit codes of the command line, after sysexits(3) where it has one.
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  /** Input data was wrong: a flow file, a pcap, the configuration. */
  badData: 65,
  /** No daemon answers. */
  unreachable: 69,
} as const;

/** An error that ends the command with a code of its own; the message is all that is printed. */
export class ExitError extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.name = "ExitError";
    this.exitCode = exitCode;
  }
}
