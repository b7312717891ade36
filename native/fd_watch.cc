// File descriptors.
//
// Descriptors cross the border as plain integers and belong to the control thread, which closes them once no
// worker uses them. fdWatch hangs one into the event loop of the thread that calls it (uv_poll), so that link
// events arrive without a timer. The watch never owns the descriptor: stop the watch, then close.
#include <unistd.h>
#include <uv.h>

#include "args.h"
#include "exports.h"
#include "status.h"

namespace {
struct Watch {
  uv_poll_t poll;
  Napi::FunctionReference callback;
  Napi::Env env;
  napi_async_cleanup_hook_handle cleanup = nullptr;
  bool stopped = false;
  explicit Watch(Napi::Env e) : env(e) {}
};

void OnReadable(uv_poll_t* poll, int status, int) {
  Watch* watch = static_cast<Watch*>(poll->data);
  Napi::HandleScope scope(watch->env);
  // MakeCallback runs the microtasks and reports what the callback throws as an uncaught exception.
  watch->callback.MakeCallback(watch->env.Global(), {Napi::Number::New(watch->env, status)});
}

void Stop(Watch* watch) {
  if (watch->stopped) return;
  watch->stopped = true;
  watch->callback.Reset();
  uv_poll_stop(&watch->poll);
  uv_close(reinterpret_cast<uv_handle_t*>(&watch->poll), [](uv_handle_t* handle) {
    Watch* closed = static_cast<Watch*>(handle->data);
    napi_remove_async_cleanup_hook(closed->cleanup);
    delete closed;
  });
}
}  // namespace

/** fdClose(fd). */
Napi::Value FdClose(const Napi::CallbackInfo& info) {
  Args args(info, "fdClose");
  const int fd = args.Fd(0);
  Checked(close(fd), "close", "fd " + std::to_string(fd));
  return info.Env().Undefined();
}

/**
 * fdWatch(fd, callback): calls `callback(status)` whenever fd is readable (status 0) or fails (a negative
 * errno). Returns the function that ends the watch. A watch does not keep the process alive.
 */
Napi::Value FdWatch(const Napi::CallbackInfo& info) {
  Args args(info, "fdWatch");
  const int fd = args.Fd(0);
  if (!info[1].IsFunction()) throw args.Wrong("callback", "a function");
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(info.Env(), &loop) != napi_ok) {
    throw Napi::Error::New(info.Env(), "fdWatch: this thread has no event loop");
  }
  Watch* watch = new Watch(info.Env());
  watch->poll.data = watch;
  int error = uv_poll_init(loop, &watch->poll, fd);
  if (error != 0) {
    delete watch;
    throw SystemError("epoll_ctl", "fd " + std::to_string(fd), -error);
  }
  watch->callback = Napi::Persistent(info[1].As<Napi::Function>());
  // The environment may end first (a worker that is terminated): the handle must be closed before its loop
  // is.
  napi_add_async_cleanup_hook(
      info.Env(), [](napi_async_cleanup_hook_handle, void* data) { Stop(static_cast<Watch*>(data)); }, watch,
      &watch->cleanup);
  uv_unref(reinterpret_cast<uv_handle_t*>(&watch->poll));
  error = uv_poll_start(&watch->poll, UV_READABLE, OnReadable);
  if (error != 0) {
    Stop(watch);
    throw SystemError("epoll_ctl", "fd " + std::to_string(fd), -error);
  }
  return Napi::Function::New(info.Env(), [watch, live = true](const Napi::CallbackInfo&) mutable {
    if (live) Stop(watch);
    live = false;
  });
}
