// Commands: one registry that the unix socket, the command line, the help and the documents read.
// A command answers with text, as OVS prints it, and with the same as data for `--format json`.

export interface CommandResult {
  readonly text: string;
  /** Never null: JSON-RPC takes an answer whose result and error are both null for a request. */
  readonly json: NonNullable<unknown>;
}

/** An answer of any length, never held whole. Either the lines or the rows are asked for, once. */
export interface StreamedResult {
  /** As text, without line ends. */
  readonly lines: () => AsyncIterable<string>;
  /** As the elements of an array. */
  readonly rows: () => AsyncIterable<NonNullable<unknown>>;
}

export type CommandAnswer = CommandResult | StreamedResult;

export const isStreamed = (answer: CommandAnswer): answer is StreamedResult => "lines" in answer;

/** An answer that says no: its message goes to the caller as it stands. */
export class CommandError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "CommandError";
  }
}

/**
 * A refusal that ovs-vswitchd answers as a result, so that ovs-appctl prints it and exits with 0. So does the control
 * socket; a client that asks for `set-options --strict` gets it as an error.
 */
export class MildError extends CommandError {}

export interface Command {
  /** As typed: `dpctl/show`. */
  readonly name: string;
  /** Arguments as list-commands prints them. */
  readonly usage: string;
  /** One line for the documents. */
  readonly summary: string;
  readonly argumentCountMin: number;
  readonly argumentCountMax: number;
  run(args: readonly string[]): Promise<CommandAnswer> | CommandAnswer;
}

/** Any number of arguments. */
export const UNLIMITED = Number.POSITIVE_INFINITY;

export class CommandRegistry {
  readonly #commands = new Map<string, Command>();

  register(...commands: readonly Command[]): void {
    for (const command of commands) {
      if (this.#commands.has(command.name)) throw new Error(`command "${command.name}" is registered twice`);
      this.#commands.set(command.name, command);
    }
  }

  /** Commands by name, in alphabetical order. */
  list(): Command[] {
    return [...this.#commands.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** @throws CommandError for an unknown command, a wrong number of arguments, or the command's own refusal */
  async run(name: string, args: readonly string[]): Promise<CommandAnswer> {
    const command = this.#commands.get(name);
    // The three texts are unixctl's, which scripts of OVS's users look for.
    if (command === undefined)
      throw new CommandError(
        `"${name}" is not a valid command (use "list-commands" to see a list of valid commands)`,
      );
    if (args.length < command.argumentCountMin) {
      throw new CommandError(`"${name}" command requires at least ${command.argumentCountMin} arguments`);
    }
    if (args.length > command.argumentCountMax) {
      throw new CommandError(`"${name}" command takes at most ${command.argumentCountMax} arguments`);
    }
    return command.run(args);
  }
}
