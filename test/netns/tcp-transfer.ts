// One TCP transfer with a digest at both ends, run in namespaces by the tests.
//   node tcp-transfer.js server ADDRESS PORT        prints {bytes, sha256} of what it got
//   node tcp-transfer.js client ADDRESS PORT BYTES [OWN_PORT]  prints {bytes, sha256} of what it sent
import { createCipheriv, createHash } from "node:crypto";
import { connect, createServer } from "node:net";

const [role, address, port, bytesText, ownPort] = process.argv.slice(2);
const hash = createHash("sha256");
let bytes = 0;

function report(): void {
  console.log(JSON.stringify({ bytes, sha256: hash.digest("hex") }));
}

if (role === "server") {
  const server = createServer((socket) => {
    socket.on("data", (chunk) => {
      hash.update(chunk);
      bytes += chunk.length;
    });
    socket.on("end", () => {
      report();
      socket.end();
      server.close();
    });
  });
  server.listen(Number(port), address, () => console.log("listening"));
} else {
  // A key stream: no run of bytes repeats, so nothing can get lost or doubled unseen.
  const stream = createCipheriv("aes-128-ctr", Buffer.alloc(16, 7), Buffer.alloc(16));
  const zeros = Buffer.alloc(65536);
  const total = Number(bytesText);
  const own = ownPort === undefined ? {} : { localPort: Number(ownPort) };
  const socket = connect({ host: address!, port: Number(port), ...own });
  const send = (): void => {
    while (bytes < total) {
      const chunk = stream.update(zeros.subarray(0, Math.min(zeros.length, total - bytes)));
      hash.update(chunk);
      bytes += chunk.length;
      if (!socket.write(chunk)) return;
    }
    socket.end();
  };
  socket.on("connect", send);
  socket.on("drain", send);
  socket.on("close", report);
}
