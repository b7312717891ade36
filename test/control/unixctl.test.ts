// The control socket: how a stream is split, what server and client say to each other, and that the
// ovs-appctl of the package speaks to it.
import { execFile, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import fc from "fast-check";
import t, { type Test } from "tap";
import { type Command, CommandError, CommandRegistry, MildError } from "../../src/control/command.ts";
import { callUnixctl } from "../../src/control/unixctl/client.ts";
import { JsonStream } from "../../src/control/unixctl/json-stream.ts";
import { serveUnixctl } from "../../src/control/unixctl/server.ts";
import { runs } from "../support/seed.ts";

const jsonObject = fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 4 });

t.test("JSON texts come out of a stream however it is cut", async () => {
  fc.assert(
    fc.property(
      fc.array(jsonObject, { maxLength: 6 }),
      fc.array(fc.nat()),
      fc.constantFrom("", " ", "\n"),
      (values, cuts, gap) => {
        // JSON has no -0: what goes in is what JSON.parse makes of it.
        const texts = values.map((value) => JSON.stringify(value));
        const stream = texts.join(gap);
        const bounds = [0, ...cuts.map((cut) => cut % (stream.length + 1)), stream.length].sort(
          (a, b) => a - b,
        );
        const splitter = new JsonStream();
        const found = bounds
          .slice(1)
          .flatMap((end, index) => splitter.push(stream.slice(bounds[index], end)));
        const again = found.map((value) => JSON.stringify(value));
        if (again.join("|") !== texts.map((text) => JSON.stringify(JSON.parse(text))).join("|")) {
          throw new Error(`${stream} gave ${again.join(" ")}`);
        }
      },
    ),
    runs(500),
  );
});

t.test("what cannot become JSON is refused", (t) => {
  for (const text of ["x", "{]}", '{"a":}', "}", '{"a" 1}']) {
    t.throws(() => new JsonStream().push(text), SyntaxError, text);
  }
  t.end();
});

const command = (name: string, run: Command["run"], most = 2): Command => ({
  name,
  usage: "[text]",
  summary: "",
  argumentCountMin: name === "test/two" ? 2 : 0,
  argumentCountMax: most,
  run,
});

/** Lines that JSON has to escape, longer together than what a socket holds. */
async function* numbered(count: number): AsyncGenerator<string> {
  for (let n = 0; n < count; n += 1) yield `${n} "ü" \\ \t ${"y".repeat(100)}`;
}

/** Endless answers whose making was ended. */
let endlessEnds = 0;

function createRegistry(): CommandRegistry {
  const registry = new CommandRegistry();
  registry.register(
    command("test/echo", (args) => ({ text: args.join(" "), json: args })),
    command("test/lines", () => ({ text: "a\nb\n", json: ["a", "b"] })),
    command("test/two", () => ({ text: "", json: {} })),
    command("test/refuse", () => {
      throw new CommandError("no");
    }),
    command("test/mild", () => {
      throw new MildError("not quite");
    }),
    command("test/broken", () => {
      throw new TypeError("planted");
    }),
    command("test/stream", ([count]) => ({
      lines: () => numbered(Number(count)),
      rows: async function* () {
        for await (const line of numbered(Number(count))) yield { line };
      },
    })),
    command("test/endless", () => ({
      lines: async function* () {
        try {
          for (;;) yield "x".repeat(1000);
        } finally {
          endlessEnds += 1;
        }
      },
      rows: async function* () {
        yield {};
        throw new Error("planted");
      },
    })),
    command("test/slow", async ([millis]) => {
      await new Promise((resolve) => setTimeout(resolve, Number(millis)));
      return { text: `slow ${millis}`, json: millis };
    }),
  );
  return registry;
}

async function serve(t: Test): Promise<{ path: string; errors: Error[]; close: () => Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-unixctl-"));
  const path = join(folder, "millrace.ctl");
  const errors: Error[] = [];
  const server = await serveUnixctl(path, createRegistry(), (error) => errors.push(error));
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= server.close());
  t.teardown(async () => {
    await close();
    rmSync(folder, { recursive: true, force: true });
  });
  return { path, errors, close };
}

t.test("commands and refusals", async (t) => {
  const { path } = await serve(t);
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.equal(await callUnixctl(path, "test/echo", ["ä", '"}{']), 'ä "}{\n');
  t.same(await callUnixctl(path, "test/echo", ["a", "b"], "json"), ["a", "b"]);
  t.equal(await callUnixctl(path, "test/lines", []), "a\nb\n");
  await t.rejects(callUnixctl(path, "test/refuse", []), { kind: "refused", message: "no" });
  await t.rejects(callUnixctl(path, "test/mild", []), { kind: "refused", message: "not quite" });
  await t.rejects(callUnixctl(path, "test/mild", [], "json"), { kind: "refused", message: "not quite" });
  await t.rejects(callUnixctl(path, "test/broken", []), {
    kind: "refused",
    message: /internal error.*planted/s,
  });
  await t.rejects(callUnixctl(path, "test/none", []), { message: /"test\/none" is not a valid command/ });
  await t.rejects(callUnixctl(path, "test/two", ["1"]), {
    message: '"test/two" command requires at least 2 arguments',
  });
  await t.rejects(callUnixctl(path, "test/echo", ["1", "2", "3"]), {
    message: '"test/echo" command takes at most 2 arguments',
  });
  await t.rejects(callUnixctl(`${path}.not`, "test/echo", []), {
    kind: "unreachable",
    message: /no daemon answers/,
  });
});

t.test("requests of a connection are answered in order", async (t) => {
  const { path } = await serve(t);
  const socket = connect(path);
  t.teardown(() => socket.destroy());
  socket.setEncoding("utf8");
  const requests = [
    { method: "test/slow", params: ["20"], id: "a" },
    { method: "test/echo", params: ["x"], id: "b" },
    { method: "test/echo", params: [1], id: "c" },
    { method: "set-options", params: ["--format", "yaml"], id: "d" },
  ];
  socket.write(requests.map((request) => JSON.stringify(request)).join(""));
  const stream = new JsonStream();
  const answers: unknown[] = [];
  for await (const chunk of socket) {
    answers.push(...stream.push(chunk as string));
    if (answers.length === requests.length) break;
  }
  t.match(answers, [
    { id: "a", result: "slow 20\n", error: null },
    { id: "b", result: "x\n", error: null },
    { id: "c", result: null, error: /params that are strings/ },
    { id: "d", result: null, error: /--format text or --format json/ },
  ]);
});

t.test("long answers come in pieces, as text and as data", async (t) => {
  const { path } = await serve(t);
  for (const count of [0, 1, 10_000]) {
    const lines: string[] = [];
    for await (const line of numbered(count)) lines.push(line);
    t.equal(await callUnixctl(path, "test/stream", [`${count}`]), lines.map((line) => `${line}\n`).join(""));
    t.same(
      await callUnixctl(path, "test/stream", [`${count}`], "json"),
      lines.map((line) => ({ line })),
    );
  }
  await t.rejects(
    callUnixctl(path, "test/endless", [], "json"),
    { message: /without an answer/ },
    "cut short",
  );
  t.equal(await callUnixctl(path, "test/echo", ["on"]), "on\n");
});

t.test("a reader that stands still holds up itself alone, and not the server's end", async (t) => {
  const { path, close } = await serve(t);
  const open = async (): Promise<Socket> => {
    const socket = connect(path);
    socket.on("error", () => undefined);
    socket.write(JSON.stringify({ method: "test/endless", params: [], id: 1 }));
    await once(socket, "readable");
    return socket;
  };
  const before = endlessEnds;
  const gone = await open();
  const stalled = await open();
  t.equal(await callUnixctl(path, "test/echo", ["on"]), "on\n");
  gone.destroy();
  while (endlessEnds === before) await callUnixctl(path, "test/echo", ["turn"]);
  t.pass("who goes away ends the making of his answer");
  await close();
  t.equal(endlessEnds, before + 2, "so does the server's end");
  stalled.destroy();
});

t.test("an answer that is too long for its reader is refused by him", (t) => {
  const stream = new JsonStream(10);
  t.same(stream.push('{"a":1}{"b'), [{ a: 1 }]);
  t.throws(() => stream.push('":"cdefgh'), /longer than 10 characters/);
  t.end();
});

t.test("a stream that is no JSON is closed, and others go on", async (t) => {
  const { path } = await serve(t);
  const socket = connect(path);
  await new Promise<void>((resolve) => {
    socket.on("close", () => resolve());
    socket.on("connect", () => socket.write("GET / HTTP/1.0\r\n\r\n"));
  });
  t.equal(await callUnixctl(path, "test/echo", ["on"]), "on\n");
});

t.test("who may listen where", async (t) => {
  const { path } = await serve(t);
  const registry = createRegistry();
  await t.rejects(
    serveUnixctl(path, registry, () => undefined),
    { message: /another daemon answers there/ },
  );
  t.equal(await callUnixctl(path, "test/echo", ["still"]), "still\n", "the first one's socket stays");
  const file = `${path}.file`;
  writeFileSync(file, "mine");
  await t.rejects(
    serveUnixctl(file, registry, () => undefined),
    { message: /no socket/ },
  );
  t.ok(existsSync(file));

  const stale = `${path}.stale`;
  const script = `require("node:net").createServer().listen(${JSON.stringify(stale)}, () => process.kill(process.pid, "SIGKILL"))`;
  spawnSync(process.execPath, ["-e", script]);
  t.ok(existsSync(stale), "a killed process leaves its socket");
  const server = await serveUnixctl(stale, registry, () => undefined);
  t.equal(await callUnixctl(stale, "test/echo", ["new"]), "new\n");
  await server.close();
});

const appctlMissing =
  spawnSync("ovs-appctl", ["--version"]).error === undefined ? false : "no ovs-appctl installed";

t.test("the package's ovs-appctl", { skip: appctlMissing }, async (t) => {
  const { path } = await serve(t);
  const appctl = async (...args: string[]): Promise<{ stdout: string; stderr: string; code: number }> => {
    try {
      const { stdout, stderr } = await promisify(execFile)("ovs-appctl", ["-t", path, ...args]);
      return { stdout, stderr, code: 0 };
    } catch (error) {
      const failed = error as { stdout: string; stderr: string; code: number };
      return { stdout: failed.stdout, stderr: failed.stderr, code: failed.code };
    }
  };
  t.match(await appctl("test/echo", "a b", "ü"), { stdout: "a b ü\n", code: 0 });
  t.match(await appctl("test/lines"), { stdout: "a\nb\n", code: 0 });
  t.match(await appctl("test/refuse"), {
    stdout: "",
    stderr: /^no\novs-appctl: .*server returned an error\n$/,
    code: 2,
  });
  t.match(await appctl("test/mild"), { stdout: "not quite\n", stderr: "", code: 0 });
  t.match(await appctl("nosuch"), {
    stderr: /^"nosuch" is not a valid command \(use "list-commands"/,
    code: 2,
  });
});
