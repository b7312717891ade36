// A burst of frames as JS lays it out in the arena: pairs of 32-bit words, {offset, length}, one pair a
// segment. Bit 31 of a length says that the next segment belongs to the same frame. Every segment lies inside
// the view.
#pragma once

#include <sys/uio.h>

#include "arena_view.h"

// One burst; also what the kernel takes at most (UIO_MAXIOV) and what the vectors below cost on the stack.
constexpr uint32_t kMaxSegments = 1024;
constexpr uint32_t kSegmentContinues = 0x80000000u;

class SegmentBurst {
 public:
  SegmentBurst(const Args& args, const ArenaView& arena, uint64_t at, uint32_t segmentCount) {
    if (segmentCount > kMaxSegments) {
      throw Napi::RangeError::New(args.env(), std::string(args.function()) + ": a burst of " +
                                                  std::to_string(segmentCount) + " segments is over 1024");
    }
    const uint32_t* words = arena.Array<uint32_t>(at, uint64_t{segmentCount} * 2, "segment list");
    uint32_t first = 0;
    for (uint32_t i = 0; i < segmentCount; i++) {
      const uint32_t length = words[2 * i + 1] & ~kSegmentContinues;
      vectors_[i] = iovec{arena.Range(words[2 * i], length, "segment"), length};
      if (words[2 * i + 1] & kSegmentContinues) continue;
      firsts_[packetCount_] = first;
      counts_[packetCount_] = i + 1 - first;
      packetCount_++;
      first = i + 1;
    }
    if (first != segmentCount) {
      throw Napi::RangeError::New(args.env(), std::string(args.function()) + ": the last frame has no end");
    }
  }

  uint32_t packetCount() const { return packetCount_; }
  iovec* vectors(uint32_t packet) { return &vectors_[firsts_[packet]]; }
  uint32_t vectorCount(uint32_t packet) const { return counts_[packet]; }

 private:
  iovec vectors_[kMaxSegments];
  uint32_t firsts_[kMaxSegments];
  uint32_t counts_[kMaxSegments];
  uint32_t packetCount_ = 0;
};
