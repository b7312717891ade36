// Network namespaces.
//
// A socket belongs to the namespace of the thread that made it, for ever. So a thread of the addon's own
// enters the namespace and stays there, and whatever has to be made inside is handed to it; the calling
// thread never changes its namespace. The thread outlives the call on purpose: setns() wants CAP_SYS_ADMIN,
// which the daemon gives up after its start, and a port must be creatable again later.
#pragma once

#include <napi.h>
#include <sys/types.h>

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

class NetnsThread {
 public:
  /** `name` as in `ip netns`, or a path that contains a slash. Throws SystemError when it can't be entered.
   */
  explicit NetnsThread(const std::string& name);
  ~NetnsThread();
  NetnsThread(const NetnsThread&) = delete;
  NetnsThread& operator=(const NetnsThread&) = delete;

  /** Runs `job` in the namespace and waits for it; what it throws is thrown here. */
  void Run(const std::function<void()>& job);

  const std::string& name() const { return name_; }
  ino_t inode() const { return inode_; }

  static std::string PathOf(const std::string& name);

 private:
  void Loop(int fd);

  std::string name_;
  ino_t inode_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  const std::function<void()>* job_ = nullptr;
  std::exception_ptr failure_;
  bool stopping_ = false;
  std::thread thread_;
};

/** Runs `job` in the namespace of a handle that netnsOpen gave (0: where the process is). */
void RunInNetns(Napi::Env env, uint32_t handle, const std::function<void()>& job);

Napi::Value NetnsOpen(const Napi::CallbackInfo& info);
