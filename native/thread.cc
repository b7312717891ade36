// The calling thread: its id, name and CPUs.
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "args.h"
#include "exports.h"
#include "status.h"

namespace {
// Linux is built for at most 8192 CPUs; a mask smaller than the kernel's own makes sched_getaffinity fail.
constexpr uint32_t kMaxCpus = 8192;

struct CpuSet {
  CpuSet() : set(CPU_ALLOC(kMaxCpus)), bytes(CPU_ALLOC_SIZE(kMaxCpus)) { CPU_ZERO_S(bytes, set); }
  ~CpuSet() { CPU_FREE(set); }
  CpuSet(const CpuSet&) = delete;
  CpuSet& operator=(const CpuSet&) = delete;
  cpu_set_t* set;
  size_t bytes;
};
}  // namespace

/** threadId(): the kernel's thread id, as in /proc/self/task. */
Napi::Value ThreadId(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(syscall(SYS_gettid)));
}

/** threadSetName(name): at most 15 bytes; ps and perf show it. */
Napi::Value ThreadSetName(const Napi::CallbackInfo& info) {
  Args args(info, "threadSetName");
  const std::string name = args.String(0, "name");
  const int error = pthread_setname_np(pthread_self(), name.c_str());
  if (error != 0) throw SystemError("pthread_setname_np", "thread name \"" + name + "\"", error);
  return info.Env().Undefined();
}

/** threadAffinity(): the CPUs that the calling thread may run on. */
Napi::Value ThreadAffinity(const Napi::CallbackInfo& info) {
  CpuSet cpus;
  Checked(sched_getaffinity(0, cpus.bytes, cpus.set), "sched_getaffinity", "calling thread");
  Napi::Array list = Napi::Array::New(info.Env());
  uint32_t count = 0;
  for (uint32_t cpu = 0; cpu < kMaxCpus; cpu++) {
    if (CPU_ISSET_S(cpu, cpus.bytes, cpus.set)) list.Set(count++, cpu);
  }
  return list;
}

/** threadSetAffinity(cpus, threadId?): pins one thread of this process, the calling one where none is named. */
Napi::Value ThreadSetAffinity(const Napi::CallbackInfo& info) {
  Args args(info, "threadSetAffinity");
  const std::vector<uint32_t> list = args.U32List(0, "cpus");
  CpuSet cpus;
  std::string text;
  for (const uint32_t cpu : list) {
    if (cpu >= kMaxCpus) {
      throw Napi::RangeError::New(info.Env(),
                                  "threadSetAffinity: CPU " + std::to_string(cpu) + " is beyond 8191");
    }
    CPU_SET_S(cpu, cpus.bytes, cpus.set);
    text += (text.empty() ? "CPUs " : ",") + std::to_string(cpu);
  }
  const pid_t thread = args[1].IsUndefined() ? 0 : static_cast<pid_t>(args.U32(1, "threadId"));
  // A number of another process would be pinned too: the kernel asks only for rights.
  if (thread != 0 && access(("/proc/self/task/" + std::to_string(thread)).c_str(), F_OK) != 0) {
    throw SystemError("sched_setaffinity", "thread " + std::to_string(thread) + " of this process", ESRCH);
  }
  Checked(sched_setaffinity(thread, cpus.bytes, cpus.set), "sched_setaffinity", text.empty() ? "no CPU" : text);
  return info.Env().Undefined();
}
