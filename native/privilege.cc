// Giving up capabilities, in every thread of the process.
//
// Linux keeps capabilities, the bounding set and no_new_privs per thread, and V8, libuv and the workers have
// made many threads by the time the daemon is ready. Each of them has to call capset itself. So every thread
// in /proc/self/task gets a signal whose handler makes the calls; a thread made meanwhile inherits from its
// maker, dropped or not, so the round is repeated until two scans in a row find every thread dropped.
//
// The signal is the one that glibc itself uses to run setuid in all threads (32 + 1): no thread can block it
// through the C library, Node's signal thread included, which blocks all others. Its handler is replaced by
// raw rt_sigaction for the moment and put back. What the handler needs travels in the signal's value: there
// are no globals.
#include <dirent.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <set>

#include "args.h"
#include "exports.h"
#include "status.h"

namespace {
constexpr int kSignal = 33;
// A thread in an uninterruptible wait answers late; beyond this something is wrong and the caller has to
// know.
constexpr int kWaitMilliseconds = 5000;
constexpr int kLastCapability = 63;

/** sigaction as the kernel takes it on x86-64 and arm64. */
struct KernelSigaction {
  void (*handler)(int, siginfo_t*, void*);
  unsigned long flags;
  void (*restorer)();
  uint64_t mask;
};

struct DropRequest {
  uint64_t keep = 0;
  pid_t pid = 0;
  std::atomic<int> answers{0};
  std::atomic<int> error{0};
};

int RawSigaction(const KernelSigaction* action, KernelSigaction* old) {
  return static_cast<int>(syscall(SYS_rt_sigaction, kSignal, action, old, sizeof(uint64_t)));
}

/** Drops in the calling thread; 0 or an errno. Only raw system calls: it runs in a signal handler. */
int DropInThisThread(uint64_t keep) {
  for (int capability = 0; capability <= kLastCapability; capability++) {
    if (keep >> capability & 1) continue;
    // EINVAL: beyond the kernel's last. EPERM: no CAP_SETPCAP any more; the caller checks the outcome in
    // /proc.
    if (syscall(SYS_prctl, PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 && errno != EINVAL && errno != EPERM)
      return errno;
  }
  if (syscall(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
    return errno;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct now[2];
  if (syscall(SYS_capget, &header, now) < 0) return errno;
  const uint32_t words[2] = {static_cast<uint32_t>(keep), static_cast<uint32_t>(keep >> 32)};
  __user_cap_data_struct next[2]{};
  for (int i = 0; i < 2; i++) next[i].effective = next[i].permitted = now[i].permitted & words[i];
  header = {_LINUX_CAPABILITY_VERSION_3, 0};
  if (syscall(SYS_capset, &header, next) < 0) return errno;
  if (syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return errno;
  return 0;
}

void OnSignal(int, siginfo_t* info, void*) {
  const int saved = errno;
  DropRequest* request = static_cast<DropRequest*>(info->si_value.sival_ptr);
  if (info->si_code == SI_QUEUE && request && info->si_pid == request->pid) {
    const int error = DropInThisThread(request->keep);
    if (error != 0) request->error.store(error);
    request->answers.fetch_add(1);
  }
  errno = saved;
}

struct Scan {
  std::set<pid_t> all;
  std::set<pid_t> holding;
};

/**
 * True when the thread has not dropped yet. The bounding set doesn't count: a process that was started
 * without CAP_SETPCAP can't shrink it, and under no_new_privs it can't gain anything from it either.
 */
bool HoldsMore(pid_t tid, uint64_t keep) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
  FILE* file = fopen(path, "re");
  if (!file) return false;  // ended meanwhile
  char line[256];
  bool more = false;
  while (fgets(line, sizeof(line), file)) {
    unsigned long long value = 0;
    if (sscanf(line, "CapPrm: %llx", &value) == 1 || sscanf(line, "CapEff: %llx", &value) == 1) {
      more = more || (value & ~keep) != 0;
    } else if (sscanf(line, "NoNewPrivs: %llx", &value) == 1) {
      more = more || value == 0;
    }
  }
  fclose(file);
  return more;
}

Scan ScanThreads(uint64_t keep) {
  Scan scan;
  DIR* directory = opendir("/proc/self/task");
  if (!directory) throw SystemError("opendir", "/proc/self/task", errno);
  while (const dirent* entry = readdir(directory)) {
    const pid_t tid = static_cast<pid_t>(atoi(entry->d_name));
    if (tid <= 0) continue;
    scan.all.insert(tid);
    if (HoldsMore(tid, keep)) scan.holding.insert(tid);
  }
  closedir(directory);
  return scan;
}

/** Signals each thread and waits for the answers; threads that end meanwhile are not waited for. */
void SignalAndWait(DropRequest& request, const std::set<pid_t>& threads) {
  request.answers.store(0);
  int sent = 0;
  for (const pid_t tid : threads) {
    siginfo_t info{};
    info.si_code = SI_QUEUE;
    info.si_pid = request.pid;
    info.si_uid = getuid();
    info.si_value.sival_ptr = &request;
    if (syscall(SYS_rt_tgsigqueueinfo, request.pid, tid, kSignal, &info) == 0) sent++;
  }
  const timespec pause{0, 1000000};
  for (int waited = 0; waited < kWaitMilliseconds && request.answers.load() < sent; waited++) {
    if (waited % 50 == 49 && ScanThreads(request.keep).holding.empty()) return;
    nanosleep(&pause, nullptr);
  }
}

void DropEverywhere(DropRequest& request) {
  bool quiet = false;
  const pid_t self = static_cast<pid_t>(syscall(SYS_gettid));
  for (int round = 0; round < 100; round++) {
    Scan scan = ScanThreads(request.keep);
    if (scan.holding.empty()) {
      if (quiet) return;
      quiet = true;
      continue;
    }
    quiet = false;
    if (scan.holding.erase(self) > 0) {
      const int error = DropInThisThread(request.keep);
      if (error != 0) throw SystemError("capset", "calling thread", error);
    }
    SignalAndWait(request, scan.holding);
    if (request.error.load() != 0)
      throw SystemError("capset", "a thread of the process", request.error.load());
  }
  throw SystemError("capset", "threads that keep their capabilities", ETIMEDOUT);
}
}  // namespace

/** privilegeDrop(capabilities): keeps those and no others in every thread; returns the number of threads. */
Napi::Value PrivilegeDrop(const Napi::CallbackInfo& info) {
  Args args(info, "privilegeDrop");
  // On the heap and never freed: a thread that did not answer in time may still run the handler later.
  DropRequest* request = new DropRequest();
  request->pid = getpid();
  for (const uint32_t capability : args.U32List(0, "capabilities")) {
    if (capability > static_cast<uint32_t>(kLastCapability)) {
      delete request;
      throw Napi::RangeError::New(info.Env(), "privilegeDrop: capability " + std::to_string(capability));
    }
    request->keep |= uint64_t{1} << capability;
  }
  // x86-64 wants the C library's trampoline for returning from a handler; its own action of this signal names
  // it.
  KernelSigaction old{};
  Checked(RawSigaction(nullptr, &old), "rt_sigaction", "signal 33");
  KernelSigaction action = old;
  action.handler = OnSignal;
  action.flags |= SA_SIGINFO | SA_RESTART;
  Checked(RawSigaction(&action, nullptr), "rt_sigaction", "signal 33");
  try {
    DropEverywhere(*request);
  } catch (const SystemError&) {
    RawSigaction(&old, nullptr);
    throw;
  }
  Checked(RawSigaction(&old, nullptr), "rt_sigaction", "signal 33");
  delete request;
  return Napi::Number::New(info.Env(), static_cast<double>(ScanThreads(~uint64_t{0}).all.size()));
}
