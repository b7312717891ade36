// tap interfaces: one descriptor a queue, a virtio_net_hdr before every frame, one readv or writev a packet.
//
// The loops over a burst are here, so that a worker makes one call a burst into the addon; the system calls
// stay one a packet, plus one that finds the queue empty.
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "arena_view.h"
#include "exports.h"
#include "netns.h"
#include "segments.h"
#include "status.h"
#include "uapi.h"

namespace {
// struct virtio_net_hdr and the buffer count of virtio 1.0, which the kernel leaves zero here. Its header is
// no C++.
constexpr int kVnetHeaderBytes = 12;
// Longest chain a frame is read into: 64 KiB in the smallest chunks.
constexpr uint64_t kMaxSegmentsPerPacket = 64;
constexpr uint32_t kTruncated = 0x80000000u;

/** What stands in the arena for each packet of a burst, read or written; src/native.ts has the same offsets.
 */
struct PacketWords {
  uint32_t length;
  uint8_t header[kVnetHeaderBytes];
};
static_assert(sizeof(PacketWords) == 16, "src/native.ts counts on 16 bytes a packet");
}  // namespace

/** tapOpen(netns, name, checksumOffload): one queue of the tap `name`, which is made if need be. */
Napi::Value TapOpen(const Napi::CallbackInfo& info) {
  Args args(info, "tapOpen");
  const std::string name = args.InterfaceName(1, "name");
  const unsigned int offloads = args.Bool(2, "checksumOffload") ? TUN_F_CSUM : 0;
  int fd = -1;
  // The interface belongs to the namespace in which /dev/net/tun is opened.
  RunInNetns(info.Env(), args.U32(0, "netns"), [&fd] {
    fd = Checked(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), "open", "/dev/net/tun");
  });
  try {
    ifreq request{};
    name.copy(request.ifr_name, IFNAMSIZ - 1);
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE;
    Checked(ioctl(fd, TUNSETIFF, &request), "ioctl", "TUNSETIFF, " + name);
    Checked(ioctl(fd, TUNSETVNETHDRSZ, &kVnetHeaderBytes), "ioctl", "TUNSETVNETHDRSZ, " + name);
    Checked(ioctl(fd, TUNSETOFFLOAD, offloads), "ioctl", "TUNSETOFFLOAD, " + name);
  } catch (const SystemError&) {
    close(fd);
    throw;
  }
  return Napi::Number::New(info.Env(), fd);
}

/**
 * tapRead(fd, arena, frames, packetCount, segmentsPerPacket, segmentBytes, packets): reads until the queue is
 * empty or `packetCount` packets came. `frames` is a list of segmentsPerPacket 32-bit arena offsets a packet;
 * each takes segmentBytes, filled in order. `packets` gets PacketWords; bit 31 of a length says that the
 * frame was cut. Returns the number of packets, or -errno when the first read failed with anything but
 * EAGAIN.
 */
Napi::Value TapRead(const Napi::CallbackInfo& info) {
  Args args(info, "tapRead");
  const int fd = args.Fd(0);
  ArenaView arena(args, 1);
  const uint32_t packetCount = static_cast<uint32_t>(args.Whole(3, "packetCount", kMaxSegments));
  const uint32_t segments = static_cast<uint32_t>(args.Whole(4, "segmentsPerPacket", kMaxSegmentsPerPacket));
  const uint32_t segmentBytes = args.U32(5, "segmentBytes");
  const uint32_t* frames =
      arena.Array<uint32_t>(args.Size(2, "frames"), uint64_t{packetCount} * segments, "frame list");
  PacketWords* packets = arena.Array<PacketWords>(args.Size(6, "packets"), packetCount, "packet list");
  const uint64_t capacity = uint64_t{segments} * segmentBytes;
  uint8_t overflow[1];
  uint32_t done = 0;
  for (; done < packetCount; done++) {
    iovec vectors[kMaxSegmentsPerPacket + 2];
    vectors[0] = iovec{packets[done].header, kVnetHeaderBytes};
    for (uint32_t i = 0; i < segments; i++) {
      vectors[i + 1] = iovec{arena.Range(frames[done * segments + i], segmentBytes, "frame"), segmentBytes};
    }
    // The kernel cuts a frame that doesn't fit without a word: one byte more than fits tells.
    vectors[segments + 1] = iovec{overflow, sizeof(overflow)};
    const ssize_t got = readv(fd, vectors, static_cast<int>(segments + 2));
    if (got < 0) {
      if (errno == EAGAIN || done > 0) break;
      return Napi::Number::New(info.Env(), -errno);
    }
    const uint64_t length = got > kVnetHeaderBytes ? static_cast<uint64_t>(got) - kVnetHeaderBytes : 0;
    packets[done].length =
        length > capacity ? static_cast<uint32_t>(capacity) | kTruncated : static_cast<uint32_t>(length);
  }
  return Napi::Number::New(info.Env(), done);
}

/**
 * tapWrite(fd, arena, segments, segmentCount, packets): writes a burst of frames (segments.h), each with the
 * header of its PacketWords. Returns how many were taken, or -errno when the first one was not.
 */
Napi::Value TapWrite(const Napi::CallbackInfo& info) {
  Args args(info, "tapWrite");
  const int fd = args.Fd(0);
  ArenaView arena(args, 1);
  SegmentBurst burst(args, arena, args.Size(2, "segments"), args.U32(3, "segmentCount"));
  PacketWords* packets =
      arena.Array<PacketWords>(args.Size(4, "packets"), burst.packetCount(), "packet list");
  for (uint32_t done = 0; done < burst.packetCount(); done++) {
    iovec vectors[kMaxSegmentsPerPacket + 1];
    const uint32_t count = burst.vectorCount(done);
    if (count > kMaxSegmentsPerPacket) {
      throw Napi::RangeError::New(info.Env(),
                                  "tapWrite: a frame of " + std::to_string(count) + " segments is over 64");
    }
    vectors[0] = iovec{packets[done].header, kVnetHeaderBytes};
    for (uint32_t i = 0; i < count; i++) vectors[i + 1] = burst.vectors(done)[i];
    if (writev(fd, vectors, static_cast<int>(count + 1)) < 0) {
      return Napi::Number::New(info.Env(), done > 0 ? static_cast<int>(done) : -errno);
    }
  }
  return Napi::Number::New(info.Env(), burst.packetCount());
}
