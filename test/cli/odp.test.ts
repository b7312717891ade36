// `millrace odp` as a process: lines in, lines out, comments through, exit codes.

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import t from "tap";
import { REPOSITORY_ROOT } from "../support/corpora.ts";

const CLI = join(REPOSITORY_ROOT, "build", "src", "cli", "millrace.js");

function odp(args: readonly string[], input: string): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, "odp", ...args], {
    input,
    encoding: "utf8",
  });
  return { code: status, out: stdout, err: stderr };
}

t.test("keys, with the prefix of their fit and OVS's words for errors", async (t) => {
  const { code, out } = odp(
    ["parse-keys"],
    "# keys\n\nin_port(1),eth(),eth_type(0x8847),mpls(label=1,tc=0,ttl=2,bos=0)\nin_port(1),bogus()\neth(),eth_type(1)\n",
  );
  t.equal(code, 0);
  const [comment, empty, mpls, bogus, short] = out.split("\n");
  t.equal(comment, "# keys");
  t.equal(empty, "");
  t.match(mpls, /^ODP_FIT_TOO_LITTLE: recirc_id\(0\),.*mpls\(label=1,tc=0,ttl=2,bos=0\)$/);
  t.equal(bogus, "odp_flow_from_string: error (syntax error at bogus())");
  t.match(short, /^odp_flow_key_to_flow: error \(eth_type, byte 16: 0x0001 is a length/);
});

t.test("keys with masks, actions and filters", async (t) => {
  const flow = "in_port(1),eth(),eth_type(0x0800),ipv4(src=10.0.0.0/255.0.0.0,frag=no)";
  t.same(odp(["parse-wc-keys"], `${flow}\n`), { code: 0, out: `${flow}\n`, err: "" });
  t.same(odp(["parse-actions"], "push_vlan(vid=5,pcp=0),2"), {
    code: 0,
    out: "push_vlan(vid=5,pcp=0),2\n",
    err: "",
  });
  t.equal(odp(["parse-filter", "filter=ip,nw_src=10.1.2.3"], flow).out, `${flow}\n`);
  t.equal(odp(["parse-filter", "filter=ip,nw_src=11.1.2.3"], flow).out, "");
  const wrong = odp(["parse-filter", "filter=nonsense=1"], flow);
  t.equal(wrong.code, 65);
  t.match(wrong.err, /Failed to parse filter \(nonsense=1: unknown field nonsense\)/);
});
