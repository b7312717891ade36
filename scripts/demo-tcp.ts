// The demo's own TCP client and server, for machines without iperf3.
//   node demo-tcp.js server PORT | client HOST PORT SECONDS
import { connect, createServer } from "node:net";

const [role, ...rest] = process.argv.slice(2);
if (role === "server") {
  const server = createServer((socket) => {
    socket.resume();
    socket.on("end", () => {
      socket.end(String(socket.bytesRead));
      server.close();
    });
  });
  server.listen(Number(rest[0]), "0.0.0.0");
} else {
  const [host, port, seconds] = rest;
  const block = Buffer.alloc(65536);
  const socket = connect(Number(port), host!);
  const started = performance.now();
  let answer = "";
  const send = (): void => {
    while (performance.now() - started < Number(seconds) * 1000) {
      if (!socket.write(block)) return;
    }
    socket.end();
  };
  socket.on("connect", send);
  socket.on("drain", send);
  socket.on("data", (chunk) => (answer += chunk));
  socket.on("end", () => {
    const megabits = (Number(answer) * 8) / 1e3 / (performance.now() - started);
    console.log(`receiver got ${answer} bytes, ${megabits.toFixed(0)} Mbit/s`);
    process.exitCode = Number(answer) === socket.bytesWritten ? 0 : 1;
  });
}
