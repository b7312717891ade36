// OVS's unixctl protocol: JSON-RPC 1.0 on a unix stream socket. `method` is the command, `params` its arguments as
// strings; the answer is text in `result` or in `error`. `set-options --format json` makes the answers of its own
// connection JSON (OVS 3.4 and newer). Unmodified ovs-appctl -t SOCKET speaks it. Our own client asks for `--strict` too:
// every refusal is an error then, also those that OVS gives as results.
//
// Requests of one connection are answered in order, one at a time; connections are independent.
import { createServer, type Socket } from "node:net";
import {
  CommandError,
  type CommandRegistry,
  isStreamed,
  MildError,
  type StreamedResult,
} from "../command.ts";
import { listenPrivately } from "../unix-socket.ts";
import { JsonStream } from "./json-stream.ts";
import { sendStreamed } from "./streamed-answer.ts";

type Format = "text" | "json";

export interface UnixctlServer {
  readonly path: string;
  close(): Promise<void>;
}

/**
 * Listens at `path` with mode 0600. A socket file that nobody answers at is removed first.
 * @throws Error when somebody else listens there or the path is no socket
 */
export async function serveUnixctl(
  path: string,
  registry: CommandRegistry,
  onError: (error: Error) => void,
): Promise<UnixctlServer> {
  const connections = new Set<Connection>();
  const server = createServer((socket) => {
    const connection = new Connection(socket, registry);
    connections.add(connection);
    socket.on("close", () => connections.delete(connection));
    // A peer that goes away in the middle of an answer is its own affair.
    socket.on("error", (error) => onError(error));
    connection.start();
  });
  await listenPrivately(server, path, "control socket", "choose another path with --socket");
  return {
    path,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      await Promise.all([...connections].map((connection) => connection.finish()));
      await closed;
    },
  };
}

class Connection {
  readonly #socket: Socket;
  readonly #registry: CommandRegistry;
  readonly #stream = new JsonStream();
  #format: Format = "text";
  #isStrict = false;
  #isStreaming = false;
  #answers: Promise<void> = Promise.resolve();

  constructor(socket: Socket, registry: CommandRegistry) {
    this.#socket = socket;
    this.#registry = registry;
  }

  start(): void {
    this.#socket.setEncoding("utf8");
    this.#socket.on("data", (chunk: string) => this.#receive(chunk));
  }

  /** Answers what was asked so far, then closes. A long answer that is under way is cut: its reader may be slow. */
  async finish(): Promise<void> {
    if (this.#isStreaming) this.#socket.destroy();
    await this.#answers;
    this.#socket.end();
  }

  #receive(chunk: string): void {
    let requests: unknown[];
    try {
      requests = this.#stream.push(chunk);
    } catch {
      // The stream cannot be brought back in step after a syntax error; OVS closes the connection too.
      this.#socket.destroy();
      return;
    }
    for (const request of requests) this.#answers = this.#answers.then(() => this.#answer(request));
  }

  async #answer(request: unknown): Promise<void> {
    const { method, params, id } = (request ?? {}) as { method?: unknown; params?: unknown; id?: unknown };
    if (
      typeof method !== "string" ||
      !Array.isArray(params) ||
      !params.every((param) => typeof param === "string")
    ) {
      this.#send(null, "a request needs a method and params that are strings", id ?? null);
      return;
    }
    try {
      if (method === "set-options") this.#send(this.#setOptions(params), null, id ?? null);
      else await this.#run(method, params, id ?? null);
    } catch (error) {
      if (error instanceof MildError && this.#format === "text" && !this.#isStrict) {
        this.#send(`${error.message}\n`, null, id ?? null);
        return;
      }
      const refusal = error instanceof CommandError;
      this.#send(
        null,
        refusal ? error.message : `internal error: ${(error as Error).stack ?? error}`,
        id ?? null,
      );
    }
  }

  async #run(method: string, params: readonly string[], id: unknown): Promise<void> {
    const answer = await this.#registry.run(method, params);
    if (isStreamed(answer)) return this.#sendStreamed(answer, id);
    const { text, json } = answer;
    if (this.#format === "json") this.#send(json, null, id);
    else this.#send(text === "" || text.endsWith("\n") ? text : `${text}\n`, null, id);
  }

  async #sendStreamed(answer: StreamedResult, id: unknown): Promise<void> {
    this.#isStreaming = true;
    try {
      await sendStreamed(this.#socket, answer, this.#format, id);
    } catch (error) {
      // The answer's beginning is sent and can't be made a refusal any more.
      this.#socket.destroy(error as Error);
    } finally {
      this.#isStreaming = false;
    }
  }

  #setOptions(params: readonly string[]): string {
    for (let index = 0; index < params.length; index += 1) {
      if (params[index] === "--strict") {
        this.#isStrict = true;
        continue;
      }
      const [option, inline] = params[index]!.split("=");
      const value = inline ?? params[++index];
      if (option !== "--format" || (value !== "text" && value !== "json")) {
        throw new CommandError("set-options takes --format text or --format json, and --strict");
      }
      this.#format = value;
    }
    return "";
  }

  #send(result: unknown, error: string | null, id: unknown): void {
    if (this.#socket.destroyed) return;
    this.#socket.write(
      JSON.stringify({
        id,
        result,
        error: error === null ? null : error.endsWith("\n") ? error : `${error}\n`,
      }),
    );
  }
}
