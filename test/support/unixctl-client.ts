// A client of the unixctl protocol: JSON-RPC 1.0 over a stream socket, requests {id, method, params:
// strings}, answers {id, result, error}. Messages follow each other without a separator, so the reader finds
// where a JSON object ends by counting braces outside strings. Much faster than one ovs-appctl process a
// command.

import { connect, type Socket } from "node:net";

/** `code` is the exit status of ovs-appctl: 0, or 2 when the server answered with an error. */
export interface UnixctlAnswer {
  readonly text: string;
  readonly code: 0 | 2;
}

interface Waiting {
  readonly resolve: (answer: UnixctlAnswer) => void;
  readonly reject: (error: Error) => void;
}

export class UnixctlClient {
  readonly #socket: Socket;
  readonly #path: string;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;
  #text = "";
  #scanned = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;

  private constructor(socket: Socket, path: string) {
    this.#socket = socket;
    this.#path = path;
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => this.#take(chunk));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error(`unixctl ${path}: the server closed the connection`)));
  }

  static connect(path: string): Promise<UnixctlClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      socket.once("error", (error) => reject(new Error(`unixctl ${path}: cannot connect`, { cause: error })));
      socket.once("connect", () => {
        socket.removeAllListeners("error");
        resolve(new UnixctlClient(socket, path));
      });
    });
  }

  call(method: string, ...params: string[]): Promise<UnixctlAnswer> {
    if (this.#socket.destroyed)
      return Promise.reject(new Error(`unixctl ${this.#path}: connection is closed`));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#socket.write(JSON.stringify({ id, method, params }));
    });
  }

  /** As call, but an answer with an error is thrown. */
  async expect(method: string, ...params: string[]): Promise<string> {
    const answer = await this.call(method, ...params);
    if (answer.code !== 0) throw new Error(`unixctl ${method} ${params.join(" ")}: ${answer.text.trimEnd()}`);
    return answer.text;
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: string): void {
    this.#text += chunk;
    for (; this.#scanned < this.#text.length; this.#scanned++) {
      if (!this.#endsObject(this.#text[this.#scanned]!)) continue;
      const message = this.#text.slice(0, this.#scanned + 1);
      this.#text = this.#text.slice(this.#scanned + 1);
      this.#scanned = -1;
      this.#settle(message);
    }
  }

  #endsObject(character: string): boolean {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (character === "\\") this.#escaped = true;
      else if (character === '"') this.#inString = false;
      return false;
    }
    if (character === '"') this.#inString = true;
    else if (character === "{") this.#depth++;
    else if (character === "}") return --this.#depth === 0;
    return false;
  }

  #settle(message: string): void {
    const answer = JSON.parse(message) as { id: number; result: string | null; error: string | null };
    const waiting = this.#waiting.get(answer.id);
    if (waiting === undefined) {
      this.#fail(new Error(`unixctl ${this.#path}: answer with unknown id ${answer.id}`));
      return;
    }
    this.#waiting.delete(answer.id);
    if (answer.error === null) waiting.resolve({ text: answer.result ?? "", code: 0 });
    else waiting.resolve({ text: answer.error, code: 2 });
  }

  #fail(error: Error): void {
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
    this.#socket.destroy();
  }
}
