// CPU lists and millrace.yaml: what is right is read with its defaults; what is wrong is told with its
// place, all at once.
import fc from "fast-check";
import t, { type Test } from "tap";
import { workerCpus } from "../../src/control/config/arena-sizes.ts";
import { CPU_MAX, formatCpuList, parseCpuList } from "../../src/control/config/cpu-list.ts";
import { ConfigError, parseConfig } from "../../src/control/config/load.ts";
import { runs } from "../support/seed.ts";

t.test("a CPU list is what its shortest form parses to", (t) => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 0, max: CPU_MAX }), { minLength: 1, maxLength: 40 }),
      (cpus) => {
        const sorted = [...cpus].sort((a, b) => a - b);
        const text = formatCpuList(cpus);
        t.strictSame(parseCpuList(text), sorted);
        // No range that another continues.
        const ends = text.split(",").map((part) => part.split("-").map(Number));
        for (const [index, [first]] of ends.entries()) {
          if (index > 0 && first! <= ends[index - 1]!.at(-1)! + 1)
            throw new Error(`${text} could be shorter`);
        }
      },
    ),
    runs(200),
  );
  t.end();
});

t.test("CPU lists", (t) => {
  t.same(parseCpuList("2-5,8"), [2, 3, 4, 5, 8]);
  t.same(parseCpuList(" 1 , 0"), [1, 0], "in the order given");
  for (const [text, found] of [
    ["", '""'],
    ["0x3", '"0x3"'],
    ["5-2", '"5-2"'],
    ["1,,2", '""'],
    [`${CPU_MAX + 1}`, `"${CPU_MAX + 1}"`],
    ["1-3,2", "CPU 2 stands twice"],
  ] as const) {
    t.throws(() => parseCpuList(text), { message: new RegExp(found) }, text);
  }
  t.end();
});

t.test("an empty file is the defaults", (t) => {
  for (const text of ["", "# nothing\n", "{}"]) {
    const config = parseConfig(text, "millrace.yaml");
    t.equal(config.datapath, "netdev@millrace");
    t.equal(config.policy.type, "learn");
    t.equal(config.policy["flow-limit"], 200_000);
    t.same(config.ports, []);
    t.same(workerCpus(config), [null]);
  }
  t.end();
});

function problemsOf(text: string): { at: string; path: string; message: string }[] {
  try {
    parseConfig(text, "m.yaml");
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ line, column, path, message }) => ({
      at: `${line}:${column}`,
      path,
      message,
    }));
  }
  throw new Error(`accepted: ${text}`);
}

function checkProblem(
  t: Test,
  problem: { readonly at: string; readonly message: string } | undefined,
  at: string,
  message: string | RegExp,
): void {
  t.equal(problem?.at, at);
  t.match(problem?.message, message);
}

t.test("problems are told with line and column, all of them", (t) => {
  const text = [
    "workers: { cpus: 5-2 }",
    "ports:",
    "  - name: p1",
    "    type: dumy",
    "    colour: red",
    "  - { name: 'a b', type: dummy, port-no: 70000 }",
    "vlan-limit: 3",
  ].join("\n");
  const problems = problemsOf(text);
  t.same(
    problems.map(({ path }) => path).sort(),
    [
      "ports[0].colour",
      "ports[0].type",
      "ports[1].name",
      "ports[1].port-no",
      "vlan-limit",
      "workers.cpus",
    ].sort(),
  );
  const at = new Map(problems.map((problem) => [problem.path, problem]));
  checkProblem(t, at.get("workers.cpus"), "1:18", /"5-2" is not a CPU/);
  checkProblem(t, at.get("ports[0].type"), "4:11", /one of .*dummy.* is expected/);
  checkProblem(t, at.get("ports[0].colour"), "5:13", "there is no such setting");
  checkProblem(t, at.get("ports[1].port-no"), "6:42", "65534 is the most");
  checkProblem(t, at.get("vlan-limit"), "7:13", "2 is the most");
  t.throws(() => parseConfig(text, "m.yaml"), { message: /^m\.yaml:1:18: workers\.cpus: / });
  t.end();
});

t.test("rules between settings", (t) => {
  const ports = (...lines: string[]): string => `ports:\n${lines.map((line) => `  - ${line}\n`).join("")}`;
  const cases: readonly (readonly [text: string, at: string, message: RegExp])[] = [
    [
      ports("{ name: a, type: dummy }", "{ name: a, type: null }".replace("null", "'null'")),
      "3:13",
      /"a" stands twice/,
    ],
    [
      ports("{ name: a, type: dummy, port-no: 4 }", "{ name: b, type: dummy, port-no: 4 }"),
      "3:38",
      /4 stands twice/,
    ],
    [ports("{ name: a, type: dummy, vlan: { mode: access } }"), "2:35", /needs a tag/],
    [
      `memory: { ports: 1 }\n${ports("{ name: a, type: dummy }", "{ name: b, type: dummy }")}`,
      "3:3",
      /memory\.ports is 1/,
    ],
    ["workers: { cpus: 1-2 }\ncontrol-cpus: 2\n", "2:15", /CPU 2 is a worker's too/],
    ["memory: { masks: 4097 }\n", "1:18", /^4096 is the most$/],
    ["memory: { frames: 1727 }\n", "1:19", /^1727 frames, .* keep 0 and the threads 1728; raise it to 1728,/],
    [
      `memory: { frames: 9000 }\n${ports("{ name: a, type: afxdp }", "{ name: b, type: afxdp }", "{ name: t, type: tap, rx-queues: 2 }")}`,
      "1:19",
      /keep 8576 and the threads 1728; raise it to 10304, or lower .*ring-size/,
    ],
    [
      ports("{ name: a, type: afxdp, options: { xdp-mode: zero-copy, ring-size: 16384 } }"),
      "1:1",
      /32768 frames, .* keep 49152 /,
    ],
    [
      ports("{ name: a, type: afxdp, options: { ring-size: 100 } }"),
      "2:5",
      /port a: option ring-size: must be a power/,
    ],
  ];
  for (const [text, at, message] of cases) {
    const problems = problemsOf(text);
    t.equal(problems.length, 1, text);
    t.equal(problems[0]!.at, at, text);
    t.match(problems[0]!.message, message);
  }
  t.end();
});

t.test("every port's frames count once: what is enough passes, one less does not", (t) => {
  const text = (frames: number): string =>
    `local-port: l\nmemory: { frames: ${frames} }\nports: [{ name: a, type: afxdp, rx-queues: 2, options: { ring-size: 256 } }]\n`;
  // 3 threads x (512 + 64), 2 queues x 2 x 256, the local port's stock of 32 packets of 6 frames.
  const enough = 1728 + 1024 + 192;
  t.equal(parseConfig(text(enough), "m.yaml").memory.frames, enough);
  t.equal(problemsOf(text(enough - 1)).length, 1);
  t.end();
});

t.test("text that is no YAML", (t) => {
  const [problem, ...rest] = problemsOf("ports: [\n  { name: a }\n");
  t.same(rest, []);
  t.match(problem!.at, /^[23]:/);
  t.match(problemsOf("a: 1\na: 2\n")[0], { at: "2:1", message: /unique/ });
  t.end();
});
