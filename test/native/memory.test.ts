// The border of the addon: views give the right address, every range is held against the view before anything
// happens, wrong arguments are refused by name, and the page functions change the mapping under the arena and
// nothing else.
import { readFileSync, writeFileSync } from "node:fs";
import t from "tap";
import { native, nativeUnavailable } from "../../src/native.ts";

const skip = nativeUnavailable() ?? false;
const HUGE_PAGE_BYTES = 2 << 20;
const PAGE_BYTES = 4096;
const BYTES = 16 << 20;

function makeArena(): Uint8Array {
  const pages = BYTES / 65536;
  return new Uint8Array(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer);
}

t.test("a view of the shared memory gives its address, an offset view another", { skip }, (t) => {
  const addon = native();
  const arena = makeArena();
  const before = addon.clockMilliseconds();
  addon.clockStore(arena, 64);
  addon.clockStore(arena.subarray(4096), 8);
  const after = addon.clockMilliseconds();
  const words = new BigUint64Array(arena.buffer);
  for (const index of [64 / 8, 4104 / 8]) {
    const milliseconds = Number(words[index]!) / 1e6;
    t.ok(milliseconds >= before - 0.001 && milliseconds <= after + 0.001, `word ${index} holds the time`);
  }
  t.equal(words.filter((word) => word !== 0n).length, 2, "nothing else was written");
  t.end();
});

t.test("ranges outside the view are refused before any system call", { skip }, (t) => {
  const addon = native();
  const arena = makeArena();
  const inner = arena.subarray(0, 1 << 20);
  // No file descriptor here is open: a call that got as far as the kernel would say EBADF.
  const fd = 1_000_000;
  const outside: [string, () => void][] = [
    ["clockStore", () => addon.clockStore(inner, inner.length)],
    ["clockStore across the end", () => addon.clockStore(inner.subarray(0, 12), 8)],
    ["pagesMapAnonymous", () => addon.pagesMapAnonymous(inner, inner.length, PAGE_BYTES)],
    ["pagesMapAnonymous over the end", () => addon.pagesMapAnonymous(inner, 0, inner.length + PAGE_BYTES)],
    ["pagesMapAnonymous unaligned", () => addon.pagesMapAnonymous(inner, 64, PAGE_BYTES)],
    ["pagesMapAnonymous of half a page", () => addon.pagesMapAnonymous(inner, 0, 100)],
    ["pagesMapAnonymous of nothing", () => addon.pagesMapAnonymous(inner, 0, 0)],
    ["pagesMapHuge of small pages", () => addon.pagesMapHuge(inner, 0, PAGE_BYTES)],
    ["pagesMapHuge outside", () => addon.pagesMapHuge(inner, 0, HUGE_PAGE_BYTES)],
    ["pagesPopulate", () => addon.pagesPopulate(inner, 2 ** 40, PAGE_BYTES)],
    ["pagesAdviseHuge", () => addon.pagesAdviseHuge(inner, inner.length, PAGE_BYTES)],
    ["xskRegisterUmem", () => addon.xskRegisterUmem(fd, inner, 0, inner.length + PAGE_BYTES, 2048, 2)],
    ["packetMapRing", () => addon.packetMapRing(fd, inner, 0, 1 << 20, 2, 10)],
    ["packetSend list", () => addon.packetSend(fd, inner, inner.length - 4, 1)],
    ["packetSend list unaligned", () => addon.packetSend(fd, inner, 2, 1)],
    ["packetSend burst", () => addon.packetSend(fd, inner, 0, 1025)],
    ["tapRead packets", () => addon.tapRead(fd, inner, 0, 4, 1, 2048, inner.length - 16)],
    ["tapRead frames", () => addon.tapRead(fd, inner, inner.length - 4, 4, 1, 2048, 0)],
    ["tapWrite", () => addon.tapWrite(fd, inner, inner.length, 1, 0)],
  ];
  for (const [name, call] of outside) t.throws(call, { name: "RangeError" }, name);

  const words = new Uint32Array(arena.buffer);
  words.set([inner.length - 10, 60]);
  t.throws(() => addon.packetSend(fd, inner, 0, 1), { name: "RangeError" }, "a segment over the end");
  t.throws(() => addon.tapWrite(fd, inner, 0, 1, 64), { name: "RangeError" }, "a tap segment over the end");
  t.throws(
    () => addon.tapRead(fd, inner, 0, 1, 1, 2048, 64),
    { name: "RangeError" },
    "a tap frame over the end",
  );
  words.set([4096, (0x8000_0000 | 60) >>> 0]);
  t.throws(() => addon.packetSend(fd, inner, 0, 1), /last frame has no end/, "a chain that doesn't end");
  words.set([4096, 60]);
  t.equal(addon.packetSend(fd, inner, 0, 1), -9, "inside the view the kernel answers: EBADF");
  t.end();
});

t.test("wrong arguments are refused by function and name", { skip }, (t) => {
  const addon = native();
  const arena = makeArena();
  const wrong = (value: unknown): never => value as never;
  const cases: [() => void, RegExp][] = [
    [() => addon.clockStore(wrong(new Uint32Array(4)), 0), /clockStore: arena is not a Uint8Array/],
    [() => addon.clockStore(wrong(arena.buffer), 0), /clockStore: arena is not a Uint8Array/],
    [() => addon.clockStore(arena, -8), /clockStore: offset is not a whole number/],
    [() => addon.clockStore(arena, 0.5), /clockStore: offset/],
    [() => addon.clockStore(arena, Number.NaN), /clockStore: offset/],
    [() => addon.clockStore(arena, wrong("8")), /clockStore: offset is not a number/],
    [() => addon.xskSetRing(3, wrong(4), 64), /xskSetRing: ring/],
    [() => addon.bpfXdpLoad(5000, false), /bpfXdpLoad: queueCount/],
    [() => addon.bpfXdpLoad(1, wrong(1)), /bpfXdpLoad: frags is not a boolean/],
    [() => addon.tapOpen(0, "a-name-that-is-too-long", true), /tapOpen: name .* is not an interface name/],
    [() => addon.tapOpen(0, "a/b", true), /tapOpen: name/],
    [() => addon.threadSetAffinity(wrong([0.5])), /threadSetAffinity: cpus/],
    [() => addon.threadSetAffinity([9000]), /CPU 9000/],
    [() => addon.xskOpen(77), /netns: 77 is not a handle/],
    [() => addon.privilegeDrop([64]), /privilegeDrop: capability 64/],
  ];
  for (const [call, message] of cases) t.throws(call, { message }, String(message));
  t.end();
});

t.test("anonymous pages replace what is there and can be read at once", { skip }, (t) => {
  const addon = native();
  const arena = makeArena().fill(0xa5);
  addon.pagesMapAnonymous(arena, 8 * PAGE_BYTES, 4 * PAGE_BYTES);
  addon.pagesPopulate(arena, 8 * PAGE_BYTES, 4 * PAGE_BYTES);
  const changed = arena.subarray(8 * PAGE_BYTES, 12 * PAGE_BYTES);
  t.ok(
    changed.every((byte) => byte === 0),
    "the range reads zero",
  );
  t.equal(arena[8 * PAGE_BYTES - 1], 0xa5, "the byte before is untouched");
  t.equal(arena[12 * PAGE_BYTES], 0xa5, "the byte behind is untouched");
  t.end();
});

const HUGE_COUNT_FILE = "/proc/sys/vm/nr_hugepages";
const hugeFree = (): number =>
  Number(/HugePages_Free:\s+(\d+)/.exec(readFileSync("/proc/meminfo", "utf8"))?.[1]);

t.test("huge pages go under a part of the arena", { skip: skip || hugeSkip() }, (t) => {
  const addon = native();
  const arena = makeArena();
  const reserved = readFileSync(HUGE_COUNT_FILE, "utf8");
  t.teardown(() => writeFileSync(HUGE_COUNT_FILE, reserved));
  writeFileSync(HUGE_COUNT_FILE, String(Number(reserved) + 4));
  // The base of the memory is only promised to be 64 KiB aligned: find the first offset that is 2 MiB
  // aligned.
  let offset = 0;
  for (; offset < HUGE_PAGE_BYTES; offset += 65536) {
    try {
      addon.pagesMapHuge(arena, offset, 2 * HUGE_PAGE_BYTES);
      break;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }
  const range = arena.subarray(offset, offset + 2 * HUGE_PAGE_BYTES);
  t.ok(
    range.every((byte) => byte === 0),
    "they read zero",
  );
  range.fill(7);
  const smaps = readFileSync("/proc/self/smaps", "utf8");
  t.match(smaps, /Private_Hugetlb:\s+4096 kB/, "the process maps two of them");
  addon.pagesMapAnonymous(arena, offset, 2 * HUGE_PAGE_BYTES);
  t.notMatch(
    readFileSync("/proc/self/smaps", "utf8"),
    /Private_Hugetlb:\s+4096 kB/,
    "and none after the remap",
  );
  const free = hugeFree();
  arena[offset] = 3;
  const tooMany = { code: "ENOMEM", syscall: "mmap" };
  if (free * HUGE_PAGE_BYTES < BYTES - 2 * HUGE_PAGE_BYTES) {
    t.throws(
      () => addon.pagesMapHuge(arena, offset, BYTES - 2 * HUGE_PAGE_BYTES),
      tooMany,
      "too many are refused",
    );
    t.equal(arena[offset], 3, "and the old pages are still there");
  }
  t.end();
});

/** Why huge pages can't be tried here, or false. */
function hugeSkip(): string | false {
  if (process.getuid?.() !== 0) return "reserving huge pages needs root";
  try {
    const reserved = readFileSync(HUGE_COUNT_FILE, "utf8");
    writeFileSync(HUGE_COUNT_FILE, String(Number(reserved) + 4));
    const got = hugeFree();
    writeFileSync(HUGE_COUNT_FILE, reserved);
    return got >= 4 ? false : `the system gave ${got} of 4 huge pages`;
  } catch (error) {
    return `no huge page can be reserved: ${error instanceof Error ? error.message : error}`;
  }
}
