"""One measurement of one peer, for bench-peers.ts: drives the kit in the folder that the first argument names (its ovsbench.py
starts Open vSwitch with DPDK, testpmd and l3fwd) on frames and flows that it did not make.

The job comes as JSON on standard input, the result goes as a line of JSON to standard output. Everything that the kit
writes stays in the job's folder; the network namespace is this comparison's own.
"""
import json
import os
import signal
import subprocess
import sys


def flows(kit, job):
    if "flows" not in job:
        return None
    return lambda: [(kit.k4(flow["match"]), flow["actions"]) for flow in job["flows"]]


def main():
    job = json.load(sys.stdin)
    os.environ["RESULTS"] = os.devnull
    sys.path.insert(0, sys.argv[1])
    import ovsbench as kit

    kit.B = kit.PCAP = job["folder"]
    kit.RUN, kit.LOG, kit.DB = (os.path.join(job["folder"], name) for name in ("run", "log", "db"))
    kit.CTL = kit.RUN + "/vswitchd.ctl"
    kit.NS = job["namespace"]
    for folder in (kit.RUN, kit.LOG, kit.DB):
        os.makedirs(folder, exist_ok=True)
    # The kit ends what it started when an exception passes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    what, name, traffic = job["what"], job["name"], job["traffic"]
    if what == "testpmd":
        kit.run_testpmd(name, traffic, "io")
    elif what == "l3fwd":
        kit.run_l3fwd(name, traffic, "lpm")
    elif what == "ovs":
        kit.run_ovs({"name": name, "scenario": job.get("setup", name), "traffic": traffic, "cache": job["cache"],
                     "note": "", "flows": flows(kit, job), "rules": job.get("rules")})
    elif what == "clean":
        kit.OVS.stop()
        if os.path.exists("/run/netns/" + kit.NS):
            subprocess.run(["ip", "netns", "del", kit.NS], check=True)
    else:
        sys.exit("bench-peers.py: no peer is called " + what)


main()
