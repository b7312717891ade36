// Unix stream sockets of the daemon: private to their owner, and never in the place of another daemon's.
import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import { connect, type Server } from "node:net";

/**
 * Listens at `path` with mode 0600. A socket file that nobody answers at is removed first.
 * @param what the socket as errors name it; `mending` how to choose another path
 * @throws Error when somebody else listens there or the path is no socket
 */
export async function listenPrivately(
  server: Server,
  path: string,
  what: string,
  mending: string,
): Promise<void> {
  await removeStaleSocket(path, what, mending);
  const mask = process.umask(0o177);
  try {
    await listen(server, path);
  } finally {
    process.umask(mask);
  }
  chmodSync(path, 0o600);
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

async function removeStaleSocket(path: string, what: string, mending: string): Promise<void> {
  const entry = lstatSync(path, { throwIfNoEntry: false });
  if (entry === undefined) return;
  if (!entry.isSocket())
    throw new Error(`${what} ${path}: the path is taken by something that is no socket; ${mending}`);
  const answered = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", () => resolve(false));
  });
  if (answered) throw new Error(`${what} ${path}: another daemon answers there; stop it, or ${mending}`);
  unlinkSync(path);
}
