// A native fault, or a SIGKILL, ends a loaded daemon where it stands: the process ends by the signal, which a shell calls
// an exit code over 128; XDP programs and tap devices go with it; and the next start on the same interfaces forwards,
// whatever the dead one left behind.
import { existsSync, lstatSync } from "node:fs";
import t from "tap";
import { labUnavailable } from "../support/netns.ts";
import { Load, linksOf, withXdp } from "./load.ts";
import { type Host, SwitchRig } from "./switch-rig.ts";

const LOAD_PACKETS = 1000;
const SIGNALS = ["SIGSEGV", "SIGKILL"] as const;

for (const signal of SIGNALS) {
  t.test(
    `${signal} of a loaded daemon, and its next life`,
    { skip: labUnavailable() ?? false },
    async (t) => {
      const rig = new SwitchRig(t);
      const xdp = rig.addHost("afxdp");
      const packet = rig.addHost("af_packet");
      const tap = rig.addHost("tap");
      const load = async (): Promise<Load> => {
        const running = new Load(xdp);
        for (const host of [packet, tap]) {
          const sent = async (): Promise<number> => (await rig.statistics(host)).tx_packets;
          await rig.until("traffic flows", async () => (await sent()) >= LOAD_PACKETS);
        }
        return running;
      };
      const pings = (from: Host, to: Host): Promise<void> =>
        rig.until(`${from.port} reaches ${to.port}`, async () => {
          try {
            return / 1 received/.test(
              rig.lab.run(from.namespace, "ping", "-c", "1", "-W", "1", `10.8.0.${to.portNo}`),
            );
          } catch {
            // ping says by its exit code that nobody answered yet.
            return false;
          }
        });

      for (let life = 1; life <= 2; life += 1) {
        await rig.start();
        t.same(withXdp(rig), [xdp.port], `life ${life}: an XDP program of its own is attached`);
        const { pid } = await rig.callJson<{ pid: number }>("millrace/workers-show");
        const running = await load();
        const end = await rig.signal(signal).finally(() => running.stop());
        t.same(end, { code: null, signal }, `life ${life}: it ends by the signal`);
        t.notOk(existsSync(`/proc/${pid}`), "no process is left");
        t.same(withXdp(rig), [], "the XDP program is gone");
        t.notOk(
          linksOf(rig, tap.namespace).some(({ ifname }) => ifname === tap.device),
          "the tap device is gone",
        );
        t.ok(lstatSync(rig.socket).isSocket(), "a stale socket is left");
      }

      await rig.start();
      for (const [from, to] of [
        [xdp, packet],
        [packet, tap],
        [tap, xdp],
      ] as const) {
        await pings(from, to);
        t.pass(`after two such ends ${from.port} reaches ${to.port}`);
      }
      t.equal(await rig.stop(), 0);
      t.notOk(existsSync(rig.socket), "an orderly stop leaves no socket");
    },
  );
}
