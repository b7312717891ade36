import { join } from "node:path";

/** Where the daemon listens when nothing else is said: OVS's habit, under a directory of our own. */
export function defaultSocketPath(): string {
  const directory =
    process.env["MILLRACE_RUNDIR"] ??
    (process.getuid?.() === 0 ? "/run/millrace" : join("/tmp", `millrace-${process.getuid?.() ?? 0}`));
  return join(directory, "millrace.ctl");
}

/** Where programs speak netlink when nothing else is said: beside the control socket. */
export const netlinkSocketPath = (controlSocket: string): string =>
  `${controlSocket.replace(/\.ctl$/, "")}.nl`;
