// Reads the arguments of one call. Each is checked for its type and range before any system call is made, and
// the error names the function and the argument: a wrong call from TypeScript changes nothing.
#pragma once

#include <napi.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

class Args {
 public:
  Args(const Napi::CallbackInfo& info, const char* function) : info_(info), function_(function) {}

  Napi::Env env() const { return info_.Env(); }
  const char* function() const { return function_; }
  Napi::Value operator[](size_t index) const { return info_[index]; }

  /** A whole number of 0..max. */
  uint64_t Whole(size_t index, const char* name, uint64_t max) const {
    const double value = Number(index, name);
    if (!(value >= 0) || value > static_cast<double>(max) || value != std::floor(value)) {
      throw Napi::RangeError::New(env(), Text(name) + " is not a whole number of 0.." + std::to_string(max));
    }
    return static_cast<uint64_t>(value);
  }

  uint32_t U32(size_t index, const char* name) const {
    return static_cast<uint32_t>(Whole(index, name, UINT32_MAX));
  }

  /** A byte offset or length: exact in a double. */
  uint64_t Size(size_t index, const char* name) const { return Whole(index, name, uint64_t{1} << 53); }

  int Fd(size_t index, const char* name = "fd") const {
    return static_cast<int>(Whole(index, name, INT32_MAX));
  }

  bool Bool(size_t index, const char* name) const {
    if (!info_[index].IsBoolean()) throw Wrong(name, "a boolean");
    return info_[index].As<Napi::Boolean>().Value();
  }

  std::string String(size_t index, const char* name) const {
    if (!info_[index].IsString()) throw Wrong(name, "a string");
    return info_[index].As<Napi::String>().Utf8Value();
  }

  /** An interface name as the kernel takes it: 1..15 bytes, no '/', no white space. */
  std::string InterfaceName(size_t index, const char* name) const {
    std::string value = String(index, name);
    if (value.empty() || value.size() > 15 || value.find_first_of("/ \t\n") != std::string::npos ||
        value.find('\0') != std::string::npos) {
      throw Napi::RangeError::New(env(),
                                  Text(name) + " \"" + value + "\" is not an interface name (1..15 bytes)");
    }
    return value;
  }

  std::vector<uint32_t> U32List(size_t index, const char* name) const {
    if (!info_[index].IsArray()) throw Wrong(name, "an array of numbers");
    Napi::Array array = info_[index].As<Napi::Array>();
    std::vector<uint32_t> values;
    for (uint32_t i = 0; i < array.Length(); i++) {
      Napi::Value element = array[i];
      const double value = element.IsNumber() ? element.As<Napi::Number>().DoubleValue() : -1;
      if (!(value >= 0) || value > UINT32_MAX || value != std::floor(value)) {
        throw Wrong(name, "an array of whole numbers");
      }
      values.push_back(static_cast<uint32_t>(value));
    }
    return values;
  }

  Napi::Error Wrong(const char* name, const char* expected) const {
    return Napi::TypeError::New(env(), Text(name) + " is not " + expected);
  }

 private:
  double Number(size_t index, const char* name) const {
    if (!info_[index].IsNumber()) throw Wrong(name, "a number");
    return info_[index].As<Napi::Number>().DoubleValue();
  }

  std::string Text(const char* name) const { return std::string(function_) + ": " + name; }

  const Napi::CallbackInfo& info_;
  const char* function_;
};
