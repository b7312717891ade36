// The netlink socket: programs speak OVS's netlink messages to the daemon over a unix stream socket, where each message
// frames itself by its length. Requests of a connection are answered in order, one at a time; connections are
// independent. What a stream has not of a netlink socket, millrace_socket gives: bind to a pid, join a group.
import { createServer, type Socket } from "node:net";
import { NetlinkError } from "../../netlink/errno.ts";
import { listenPrivately } from "../unix-socket.ts";
import { Connection } from "./connection.ts";
import type { NetlinkContext } from "./context.ts";
import { Notices } from "./notices.ts";
import { Outlet } from "./outlet.ts";
import { Router } from "./router.ts";

/** Programs at a time: each may hold queues of some megabytes. */
const CONNECTIONS_MAX = 64;

export class NetlinkServer {
  readonly path: string;
  readonly #context: NetlinkContext;
  readonly #router: Router;
  readonly #outlet: Outlet;
  readonly #notices: Notices;
  readonly #log: (message: string) => void;
  readonly #server = createServer((socket) => void this.#serve(socket));
  readonly #connections = new Set<Connection>();

  private constructor(path: string, context: NetlinkContext, log: (message: string) => void) {
    this.path = path;
    this.#context = context;
    this.#log = log;
    this.#router = new Router(context, log);
    this.#outlet = new Outlet(context);
    this.#notices = new Notices(context);
  }

  /**
   * Listens at `path` with mode 0600.
   * @param log what is refused, but for probes; the caller limits the rate
   * @throws Error when somebody else listens there or the path is no socket
   */
  static async listen(
    path: string,
    context: NetlinkContext,
    log: (message: string) => void,
  ): Promise<NetlinkServer> {
    const server = new NetlinkServer(path, context, log);
    const mending = "choose another path with netlink-socket in the configuration";
    await listenPrivately(server.#server, path, "netlink socket", mending);
    context.handler.on("output", (output) => server.#outlet.take(output));
    server.#notices.start();
    return server;
  }

  async close(): Promise<void> {
    this.#notices.stop();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections) connection.close();
    await closed;
  }

  /** Serves a program until it goes, or its stream is none of netlink messages. */
  async #serve(socket: Socket): Promise<void> {
    // A program that goes away in the middle of an answer is its own affair; serve() ends then.
    socket.on("error", () => undefined);
    if (this.#connections.size >= CONNECTIONS_MAX) {
      this.#log(`${CONNECTIONS_MAX} programs are connected, the most; one more was turned away`);
      socket.destroy();
      return;
    }
    const connection = new Connection(socket);
    this.#connections.add(connection);
    try {
      await connection.serve((message) => this.#router.answer(connection, message));
    } catch (error) {
      if (error instanceof NetlinkError) this.#log(`a program's stream ended: ${error.message}`);
      else if (!isGone(error)) this.#log(`internal error: ${(error as Error).stack ?? error}`);
    }
    connection.close();
    this.#connections.delete(connection);
    await this.#forget(connection);
  }

  async #forget(connection: Connection): Promise<void> {
    try {
      await this.#context.subscriptions.forget(connection);
      await this.#context.upcallPids.forget(connection);
    } catch (error) {
      // The handler ended; whoever watches it tells.
      this.#log(`a program's subscriptions stay: ${(error as Error).message}`);
    }
  }
}

/** The peer closed or reset the connection: errors of the system have a code. */
const isGone = (error: unknown): boolean => typeof (error as NodeJS.ErrnoException).code === "string";
