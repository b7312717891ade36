// The client's side of unixctl: one request, one answer.
import { connect } from "node:net";
import { JsonStream } from "./json-stream.ts";

/** What becomes one string: V8's longest has 2^29 - 24 characters. */
const ANSWER_CHARACTERS_MAX = 500_000_000;

export class UnixctlError extends Error {
  /** The daemon refused (`refused`), or could not be reached (`unreachable`). */
  readonly kind: "refused" | "unreachable";

  constructor(kind: "refused" | "unreachable", message: string) {
    super(message);
    this.name = "UnixctlError";
    this.kind = kind;
  }
}

/**
 * Runs a command in the daemon that listens at `path`.
 * @returns the answer: a string for `text`, any JSON value for `json`
 * @throws UnixctlError
 */
export function callUnixctl(
  path: string,
  method: string,
  params: readonly string[],
  format: "text" | "json" = "text",
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const stream = new JsonStream(ANSWER_CHARACTERS_MAX);
    const receive = (chunk: string): unknown[] => {
      try {
        return stream.push(chunk);
      } catch (error) {
        socket.destroy();
        reject(
          new UnixctlError(
            "refused",
            `${method}: the answer cannot be taken: ${(error as Error).message}; ask for less, a dump with filter=`,
          ),
        );
        return [];
      }
    };
    socket.setEncoding("utf8");
    socket.on("connect", () => {
      const options = ["--format", format, "--strict"];
      socket.write(JSON.stringify({ method: "set-options", params: options, id: 0 }));
      socket.write(JSON.stringify({ method, params, id: 1 }));
    });
    socket.on("data", (chunk: string) => {
      for (const value of receive(chunk)) {
        const { id, result, error } = value as { id: unknown; result: unknown; error: unknown };
        if (id !== 1 && error === null) continue;
        socket.destroy();
        if (error === null) resolve(result);
        else reject(new UnixctlError("refused", String(error).trimEnd()));
        return;
      }
    });
    socket.on("error", (error: NodeJS.ErrnoException) =>
      reject(
        new UnixctlError(
          "unreachable",
          `no daemon answers at ${path} (${error.code}); start one with "millrace run" or name its socket with --socket`,
        ),
      ),
    );
    socket.on("close", () =>
      reject(
        new UnixctlError("unreachable", `the daemon at ${path} closed the connection without an answer`),
      ),
    );
  });
}
