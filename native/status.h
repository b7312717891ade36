// Errors of system calls.
//
// A failed call is thrown as a SystemError: which call, on what object, with which errno. It carries no N-API
// handle, so it may be thrown on a thread that has no environment (see netns.h) and travel from there.
// Guarded<F> is the one place where it becomes a JS Error with `code` (the errno's name), `errno`, `syscall`
// and `object`:
//
//     bind(AF_XDP, eth0 queue 3): EBUSY, Device or resource busy
//
// Functions that workers call once a burst throw nothing for what the kernel answers: they return -errno.
#pragma once

#include <napi.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <string>

class SystemError : public std::exception {
 public:
  SystemError(const char* syscall, std::string object, int error)
      : syscall_(syscall), object_(std::move(object)), error_(error) {
    const char* name = strerrorname_np(error);
    code_ = name ? name : "E" + std::to_string(error);
    text_ = std::string(syscall) + "(" + object_ + "): " + code_ + ", " + strerrordesc_np_or_number(error);
  }

  const char* what() const noexcept override { return text_.c_str(); }
  int error() const { return error_; }

  Napi::Error ToJs(Napi::Env env) const {
    Napi::Error error = Napi::Error::New(env, text_);
    error.Set("code", Napi::String::New(env, code_));
    error.Set("errno", Napi::Number::New(env, error_));
    error.Set("syscall", Napi::String::New(env, syscall_));
    error.Set("object", Napi::String::New(env, object_));
    return error;
  }

 private:
  static std::string strerrordesc_np_or_number(int error) {
    const char* text = strerrordesc_np(error);
    return text ? text : "errno " + std::to_string(error);
  }

  const char* syscall_;
  std::string object_;
  int error_;
  std::string code_;
  std::string text_;
};

/** Returns the result of a system call, or throws what it left in errno. */
template <typename Result>
Result Checked(Result result, const char* syscall, const std::string& object) {
  if (result < 0) throw SystemError(syscall, object, errno);
  return result;
}

/** An exported function whose system errors arrive in JS as errors. */
template <Napi::Value (*Function)(const Napi::CallbackInfo&)>
Napi::Value Guarded(const Napi::CallbackInfo& info) {
  try {
    return Function(info);
  } catch (const SystemError& error) {
    throw error.ToJs(info.Env());
  }
}
