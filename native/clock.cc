// Time. CLOCK_MONOTONIC is read through the vDSO: no system call, but a call into the addon, so once a burst
// at most.
#include <time.h>

#include "arena_view.h"
#include "exports.h"
#include "status.h"

namespace {
timespec Now() {
  timespec now;
  Checked(clock_gettime(CLOCK_MONOTONIC, &now), "clock_gettime", "CLOCK_MONOTONIC");
  return now;
}
}  // namespace

/** clockMilliseconds(): number, with the fraction down to the nanoseconds that a double still holds. */
Napi::Value ClockMilliseconds(const Napi::CallbackInfo& info) {
  const timespec now = Now();
  return Napi::Number::New(info.Env(),
                           static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6);
}

/** clockStore(arena, offset): writes the nanoseconds as one 64-bit word, so that JS needs no BigInt to keep
 * them. */
Napi::Value ClockStore(const Napi::CallbackInfo& info) {
  Args args(info, "clockStore");
  uint64_t* word = ArenaView(args, 0).Array<uint64_t>(args.Size(1, "offset"), 1, "clock word");
  const timespec now = Now();
  const uint64_t nanoseconds =
      static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
  __atomic_store_n(word, nanoseconds, __ATOMIC_RELAXED);
  return info.Env().Undefined();
}
