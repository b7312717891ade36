// Answers of the kernel that can't be had here: a function of the addon is replaced until the test ends.
import { type Native, type NativeError, native } from "../../src/native.ts";
import type { Teardown } from "./netns.ts";

/** @param make gets the true function and gives the one to be called instead */
export function plant<Name extends keyof Native>(
  t: Teardown,
  name: Name,
  make: (original: Native[Name]) => Native[Name],
): void {
  const addon = native();
  const original = addon[name];
  addon[name] = make(original);
  t.teardown(() => {
    addon[name] = original;
  });
}

/** What the addon throws when the kernel refuses a call. */
export function kernelRefusal(syscall: string, object: string, code: string, errno: number): NativeError {
  return Object.assign(new Error(`${syscall}(${object}): ${code}, planted`), {
    syscall,
    object,
    code,
    errno,
  });
}
