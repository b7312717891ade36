// 100 MB of TCP between two namespaces of a rig, with a digest at both ends.
import { once } from "node:events";
import { resolve } from "node:path";
import type { SwitchRig } from "./switch-rig.ts";

const TRANSFER = resolve(import.meta.dirname, "tcp-transfer.js");
export const TRANSFER_BYTES = 100_000_000;
const TCP_PORT = 9000;
/** Client's port above the server's: connections of a test have the same addresses and ports each time, and hashes. */
const CLIENT_PORT_OFFSET = 1000;

export interface Digest {
  readonly bytes: number;
  readonly sha256: string;
}

export interface Place {
  readonly namespace: string;
}

/**
 * @param to who it goes to: 10.8.0.N for port number N
 * @param index of several at a time
 */
export async function transfer(
  rig: SwitchRig,
  from: Place,
  to: Place & { readonly portNo: number },
  { index = 0, bytes = TRANSFER_BYTES } = {},
): Promise<{ sent: Digest; received: Digest }> {
  const node = process.execPath;
  const port = TCP_PORT + index;
  const server = rig.lab.spawn(to.namespace, node, [TRANSFER, "server", "0.0.0.0", `${port}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  server.stdout!.on("data", (chunk: Buffer) => (output += chunk));
  await rig.until("the server listens", async () => output.includes("listening"));
  const serverEnd = once(server, "exit");
  const client = rig.lab.spawn(
    from.namespace,
    node,
    [TRANSFER, "client", `10.8.0.${to.portNo}`, `${port}`, `${bytes}`, `${port + CLIENT_PORT_OFFSET}`],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  let sent = "";
  client.stdout!.on("data", (chunk: Buffer) => (sent += chunk));
  await Promise.all([once(client, "exit"), serverEnd]);
  return { sent: JSON.parse(sent) as Digest, received: JSON.parse(output.split("\n")[1]!) as Digest };
}
