// CPU lists as in cpuset(7) and taskset -c: "2-5,8". Hex masks are refused: two documents of the same switch can
// easily disagree about one.

/** Highest CPU number that sched_setaffinity's default set holds (CPU_SETSIZE). */
export const CPU_MAX = 1023;

/**
 * The CPUs of a list, in the order given.
 * @throws RangeError naming the part that is wrong and what is expected
 */
export function parseCpuList(text: string): number[] {
  const cpus: number[] = [];
  for (const part of text.split(",")) {
    const match = /^\s*(\d{1,4})(?:-(\d{1,4}))?\s*$/.exec(part);
    const first = Number(match?.[1]);
    const last = match?.[2] === undefined ? first : Number(match[2]);
    if (match === null || last < first || last > CPU_MAX) {
      throw new RangeError(`"${part.trim()}" is not a CPU or a range of CPUs like 2-5, from 0 to ${CPU_MAX}`);
    }
    for (let cpu = first; cpu <= last; cpu += 1) {
      if (cpus.includes(cpu)) throw new RangeError(`CPU ${cpu} stands twice in "${text}"`);
      cpus.push(cpu);
    }
  }
  return cpus;
}

/** The shortest list that parses to these CPUs, ascending. */
export function formatCpuList(cpus: readonly number[]): string {
  const sorted = [...cpus].sort((a, b) => a - b);
  const ranges: [first: number, last: number][] = [];
  for (const cpu of sorted) {
    const range = ranges.at(-1);
    if (range !== undefined && range[1] + 1 === cpu) range[1] = cpu;
    else ranges.push([cpu, cpu]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
}
