// Privileges: once the switch is ready, no thread of it can do more than ports need, and with that little a port is
// still deleted, added again and forwards.
import { readdirSync, readFileSync } from "node:fs";
import t from "tap";
import { labUnavailable } from "../support/netns.ts";
import { SwitchRig } from "./switch-rig.ts";

/** Bits of NET_ADMIN, NET_RAW, IPC_LOCK and BPF (capabilities(7)), said here apart from the addon's own table. */
const KEPT = (1n << 12n) | (1n << 13n) | (1n << 14n) | (1n << 39n);
const SETS = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] as const;
/** Sets that only narrow what an executed program gets; the kernel leaves them empty unless asked. */
const EMPTY_SETS: readonly string[] = ["CapInh", "CapAmb"];

/** The sets of every thread, by thread id. */
function threadCapabilities(pid: number): Map<string, Map<string, bigint>> {
  const threads = new Map<string, Map<string, bigint>>();
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8");
    const sets = SETS.map((set) => {
      const hex = new RegExp(`^${set}:\\s*([0-9a-f]+)$`, "m").exec(status)?.[1];
      if (hex === undefined) throw new Error(`thread ${thread}: its status has no line ${set}`);
      return [set, BigInt(`0x${hex}`)] as const;
    });
    threads.set(thread, new Map(sets));
  }
  return threads;
}

for (const type of ["afxdp", "af_packet"] as const) {
  t.test(
    `a switch of ${type} ports keeps what ports need`,
    { skip: labUnavailable() ?? false },
    async (t) => {
      const rig = new SwitchRig(t);
      const left = rig.addHost(type);
      const right = rig.addHost(type);
      await rig.start();
      const { pid } = await rig.callJson<{ pid: number }>("millrace/workers-show");
      const checkThreads = (when: string): void => {
        const threads = threadCapabilities(pid);
        t.ok(threads.size >= 3, `${when}: control, handler and worker are among ${threads.size} threads`);
        for (const [thread, sets] of threads)
          for (const [set, value] of sets)
            if (value & ~(EMPTY_SETS.includes(set) ? 0n : KEPT))
              t.fail(`${when}: thread ${thread}: ${set} is ${value.toString(16)}`);
            else if (!EMPTY_SETS.includes(set) && value !== KEPT)
              t.fail(`${when}: thread ${thread}: ${set} lacks some: ${value.toString(16)}`);
      };
      checkThreads("after the start");

      await rig.call("dpctl/del-if", "millrace", right.port);
      t.notOk(
        (await rig.show()).ports.some(({ portNo }) => portNo === right.portNo),
        "the port is gone",
      );
      await rig.call("dpctl/add-if", "millrace", `${right.port},type=${type},port_no=${right.portNo}`);
      const ping = rig.lab.run(left.namespace, "ping", "-c", "3", "-i", "0.2", "-W", "5", "10.8.0.2");
      t.match(ping, /[1-9] received/, "the port that was added again forwards");
      checkThreads("after the port came back");
      t.equal(await rig.stop(), 0);
    },
  );
}
