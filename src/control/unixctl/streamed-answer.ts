// A long answer, sent while it is made: the JSON-RPC message is put together from pieces, and a reader that is slow makes
// the sender wait, so that the daemon holds a piece of a dump and never the dump.
import { once } from "node:events";
import type { Socket } from "node:net";
import type { StreamedResult } from "../command.ts";

/** Characters that are gathered before they are sent. */
const PIECE_CHARACTERS = 1 << 16;

/** Returns early, the answer cut, when the peer is gone. */
export async function sendStreamed(
  socket: Socket,
  answer: StreamedResult,
  format: "text" | "json",
  id: unknown,
): Promise<void> {
  const pieces = format === "json" ? arrayPieces(answer.rows()) : stringPieces(answer.lines());
  let gathered = `{"id":${JSON.stringify(id)},"error":null,"result":`;
  for await (const piece of pieces) {
    gathered += piece;
    if (gathered.length < PIECE_CHARACTERS) continue;
    if (!socket.write(gathered)) await drained(socket);
    if (socket.destroyed) return;
    gathered = "";
  }
  socket.write(`${gathered}}`);
}

async function* stringPieces(lines: AsyncIterable<string>): AsyncGenerator<string> {
  yield '"';
  for await (const line of lines) yield `${JSON.stringify(line).slice(1, -1)}\\n`;
  yield '"';
}

async function* arrayPieces(rows: AsyncIterable<unknown>): AsyncGenerator<string> {
  let separator = "[";
  for await (const row of rows) {
    yield `${separator}${JSON.stringify(row)}`;
    separator = ",";
  }
  yield separator === "[" ? "[]" : "]";
}

/** Resolves when the peer has taken what was sent, or is gone. */
async function drained(socket: Socket): Promise<void> {
  if (socket.destroyed) return;
  const gone = new AbortController();
  const onClose = (): void => gone.abort();
  socket.once("close", onClose);
  try {
    await once(socket, "drain", { signal: gone.signal });
  } catch (error) {
    if (!gone.signal.aborted) throw error;
  } finally {
    socket.off("close", onClose);
  }
}
