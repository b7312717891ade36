#include "netns.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "addon_data.h"
#include "args.h"
#include "status.h"

std::string NetnsThread::PathOf(const std::string& name) {
  return name.find('/') == std::string::npos ? "/var/run/netns/" + name : name;
}

NetnsThread::NetnsThread(const std::string& name) : name_(name) {
  const std::string path = PathOf(name);
  const int fd = Checked(open(path.c_str(), O_RDONLY | O_CLOEXEC), "open", path);
  struct stat status;
  if (fstat(fd, &status) == 0) inode_ = status.st_ino;
  thread_ = std::thread([this, fd] { Loop(fd); });
  try {
    const std::function<void()> nothing = [] {};
    Run(nothing);
  } catch (...) {
    thread_.join();
    throw;
  }
}

NetnsThread::~NetnsThread() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void NetnsThread::Loop(int fd) {
  const int entered = setns(fd, CLONE_NEWNET);
  const int error = errno;
  close(fd);
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return job_ != nullptr || stopping_; });
    if (stopping_) return;
    try {
      if (entered < 0) throw SystemError("setns", "network namespace " + name_, error);
      (*job_)();
    } catch (...) {
      failure_ = std::current_exception();
    }
    job_ = nullptr;
    changed_.notify_all();
    if (entered < 0) return;
  }
}

void NetnsThread::Run(const std::function<void()>& job) {
  std::unique_lock<std::mutex> lock(mutex_);
  job_ = &job;
  failure_ = nullptr;
  changed_.notify_all();
  changed_.wait(lock, [this] { return job_ == nullptr; });
  if (failure_) std::rethrow_exception(failure_);
}

void RunInNetns(Napi::Env env, uint32_t handle, const std::function<void()>& job) {
  if (handle == 0) return job();
  AddonData* data = env.GetInstanceData<AddonData>();
  if (handle > data->namespaces.size()) {
    throw Napi::RangeError::New(env, "netns: " + std::to_string(handle) + " is not a handle from netnsOpen");
  }
  data->namespaces[handle - 1]->Run(job);
}

/** netnsOpen(name): handle. The same namespace gives the same handle; one re-created under its name gives a
 * new one. */
Napi::Value NetnsOpen(const Napi::CallbackInfo& info) {
  Args args(info, "netnsOpen");
  const std::string name = args.String(0, "name");
  std::vector<std::unique_ptr<NetnsThread>>& namespaces = info.Env().GetInstanceData<AddonData>()->namespaces;
  const std::string path = NetnsThread::PathOf(name);
  struct stat status;
  Checked(stat(path.c_str(), &status), "stat", path);
  for (size_t i = 0; i < namespaces.size(); i++) {
    if (namespaces[i]->name() == name && namespaces[i]->inode() == status.st_ino) {
      return Napi::Number::New(info.Env(), static_cast<double>(i + 1));
    }
  }
  namespaces.push_back(std::make_unique<NetnsThread>(name));
  return Napi::Number::New(info.Env(), static_cast<double>(namespaces.size()));
}
