// The arena as this side of the border sees it.
//
// JS passes a Uint8Array over the shared WebAssembly.Memory with every call and offsets in bytes from its
// start. napi_get_typedarray_info gives the address on Node 20 for views of a SharedArrayBuffer too
// (napi_get_arraybuffer_info does not). The base never moves, but it is asked for anew on each call: nothing
// here is remembered between calls, so the addon may be loaded by any number of workers.
//
// Nothing is read or written, and no range is handed to the kernel, before Range() has held it against the
// view.
#pragma once

#include <napi.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "args.h"

class ArenaView {
 public:
  ArenaView(const Args& args, size_t index) : env_(args.env()), function_(args.function()) {
    Napi::Value value = args[index];
    napi_typedarray_type type;
    void* data = nullptr;
    napi_value buffer;
    size_t offset = 0;
    if (!value.IsTypedArray() ||
        napi_get_typedarray_info(env_, value, &type, &length_, &data, &buffer, &offset) != napi_ok ||
        type != napi_uint8_array) {
      throw args.Wrong("arena", "a Uint8Array");
    }
    base_ = static_cast<uint8_t*>(data);
  }

  /** The address of `length` bytes at `offset`, which lie inside the view and start at a multiple of
   * `alignment`. */
  uint8_t* Range(uint64_t offset, uint64_t length, const char* what, uint64_t alignment = 1) const {
    if (offset > length_ || length > length_ - offset) {
      throw Napi::RangeError::New(env_, std::string(function_) + ": " + what + " of " +
                                            std::to_string(length) + " bytes at " + std::to_string(offset) +
                                            " is outside the view of " + std::to_string(length_) + " bytes");
    }
    if (reinterpret_cast<uintptr_t>(base_ + offset) % alignment != 0) {
      throw Napi::RangeError::New(env_, std::string(function_) + ": " + what + " at " +
                                            std::to_string(offset) + " is not aligned to " +
                                            std::to_string(alignment) + " bytes");
    }
    return base_ + offset;
  }

  /** A range that starts and ends at a page boundary, as mmap and the UMEM want it. */
  uint8_t* Pages(uint64_t offset, uint64_t length, const char* what, uint64_t pageBytes = 0) const {
    if (pageBytes == 0) pageBytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    if (length == 0 || length % pageBytes != 0) {
      throw Napi::RangeError::New(env_, std::string(function_) + ": " + what + " of " +
                                            std::to_string(length) + " bytes is not a number of pages of " +
                                            std::to_string(pageBytes));
    }
    return Range(offset, length, what, pageBytes);
  }

  template <typename Element>
  Element* Array(uint64_t offset, uint64_t count, const char* what) const {
    if (count > length_ / sizeof(Element)) count = length_ / sizeof(Element) + 1;
    return reinterpret_cast<Element*>(Range(offset, count * sizeof(Element), what, alignof(Element)));
  }

  uint8_t* base() const { return base_; }

  bool Contains(uint64_t offset, uint64_t length) const {
    return offset <= length_ && length <= length_ - offset;
  }

 private:
  Napi::Env env_;
  const char* function_;
  uint8_t* base_ = nullptr;
  size_t length_ = 0;
};
