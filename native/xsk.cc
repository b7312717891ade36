// AF_XDP sockets: UMEM, rings, bind, wake-up, statistics.
//
// The order is the kernel's: open, register the UMEM (or share one at bind), set the ring sizes, map the
// rings over arena pages, bind. A ring's words are then plain memory to JS and to wasm; what is left to call
// per burst are the two kicks.
#include <net/if.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "arena_view.h"
#include "exports.h"
#include "netns.h"
#include "status.h"
#include "uapi.h"

namespace {
struct Ring {
  const char* name;
  int sizeOption;
  uint64_t mapOffset;
  xdp_ring_offset xdp_mmap_offsets::* offsets;
  uint32_t entryBytes;
};

// In the order of XSK_RING in src/native.ts.
constexpr Ring kRings[] = {
    {"RX ring", XDP_RX_RING, XDP_PGOFF_RX_RING, &xdp_mmap_offsets::rx, sizeof(xdp_desc)},
    {"TX ring", XDP_TX_RING, XDP_PGOFF_TX_RING, &xdp_mmap_offsets::tx, sizeof(xdp_desc)},
    {"fill ring", XDP_UMEM_FILL_RING, XDP_UMEM_PGOFF_FILL_RING, &xdp_mmap_offsets::fr, sizeof(uint64_t)},
    {"completion ring", XDP_UMEM_COMPLETION_RING, XDP_UMEM_PGOFF_COMPLETION_RING, &xdp_mmap_offsets::cr,
     sizeof(uint64_t)},
};

const Ring& RingOf(const Args& args, size_t index) { return kRings[args.Whole(index, "ring", 3)]; }

std::string Socket(int fd) { return "AF_XDP fd " + std::to_string(fd); }

template <typename Value>
Value GetOption(int fd, int option, const char* name) {
  Value value{};
  socklen_t length = sizeof(value);
  Checked(getsockopt(fd, SOL_XDP, option, &value, &length), "getsockopt",
          std::string(name) + ", " + Socket(fd));
  return value;
}

/** Offsets without the flags words (Linux 5.3 and older) come back shorter: need_wakeup is not optional here.
 */
xdp_mmap_offsets MapOffsets(int fd) {
  xdp_mmap_offsets offsets{};
  socklen_t length = sizeof(offsets);
  Checked(getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &length), "getsockopt",
          "XDP_MMAP_OFFSETS, " + Socket(fd));
  if (length != sizeof(offsets))
    throw SystemError("getsockopt", "XDP_MMAP_OFFSETS without flags", EOPNOTSUPP);
  return offsets;
}

uint64_t MapBytes(const Ring& ring, const xdp_ring_offset& at, uint32_t entries) {
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return (at.desc + uint64_t{entries} * ring.entryBytes + page - 1) / page * page;
}
}  // namespace

/** xskOpen(netns): fd. */
Napi::Value XskOpen(const Napi::CallbackInfo& info) {
  Args args(info, "xskOpen");
  int fd = -1;
  RunInNetns(info.Env(), args.U32(0, "netns"),
             [&fd] { fd = Checked(socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0), "socket", "AF_XDP"); });
  return Napi::Number::New(info.Env(), fd);
}

/** xskRegisterUmem(fd, arena, offset, length, chunkBytes, headroomBytes): addresses count from `offset`. */
Napi::Value XskRegisterUmem(const Napi::CallbackInfo& info) {
  Args args(info, "xskRegisterUmem");
  const int fd = args.Fd(0);
  const uint64_t offset = args.Size(2, "offset");
  const uint64_t length = args.Size(3, "length");
  uint8_t* pages = ArenaView(args, 1).Pages(offset, length, "UMEM");
  xdp_umem_reg request{};
  request.addr = reinterpret_cast<uintptr_t>(pages);
  request.len = length;
  request.chunk_size = args.U32(4, "chunkBytes");
  request.headroom = args.U32(5, "headroomBytes");
  const std::string object = "XDP_UMEM_REG, " + std::to_string(length) + " bytes in chunks of " +
                             std::to_string(request.chunk_size) + ", " + Socket(fd);
  // fork() copies pinned private pages at once, all of them: a child process gets none of the UMEM instead.
  Checked(madvise(pages, length, MADV_DONTFORK), "madvise", "MADV_DONTFORK, UMEM");
  Checked(setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &request, sizeof(request)), "setsockopt", object);
  return info.Env().Undefined();
}

/** xskSetRing(fd, ring, entries): a power of two. */
Napi::Value XskSetRing(const Napi::CallbackInfo& info) {
  Args args(info, "xskSetRing");
  const int fd = args.Fd(0);
  const Ring& ring = RingOf(args, 1);
  const uint32_t entries = args.U32(2, "entries");
  Checked(setsockopt(fd, SOL_XDP, ring.sizeOption, &entries, sizeof(entries)), "setsockopt",
          std::string(ring.name) + " of " + std::to_string(entries) + ", " + Socket(fd));
  return info.Env().Undefined();
}

/**
 * xskSetTxBudget(fd, budget): descriptors that one kick transmits in copy mode, 32 by default; at most the TX
 * ring's size, which is set before. Returns false on kernels that know no such option.
 */
Napi::Value XskSetTxBudget(const Napi::CallbackInfo& info) {
  Args args(info, "xskSetTxBudget");
  const int fd = args.Fd(0);
  const uint32_t budget = args.U32(1, "budget");
  if (setsockopt(fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof(budget)) == 0) {
    return Napi::Boolean::New(info.Env(), true);
  }
  if (errno == ENOPROTOOPT) return Napi::Boolean::New(info.Env(), false);
  throw SystemError("setsockopt", "XDP_MAX_TX_SKB_BUDGET " + std::to_string(budget) + ", " + Socket(fd),
                    errno);
}

/** xskRingBytes(fd, ring, entries): the pages that mapping the ring takes. */
Napi::Value XskRingBytes(const Napi::CallbackInfo& info) {
  Args args(info, "xskRingBytes");
  const Ring& ring = RingOf(args, 1);
  const xdp_mmap_offsets offsets = MapOffsets(args.Fd(0));
  const double bytes = static_cast<double>(MapBytes(ring, offsets.*ring.offsets, args.U32(2, "entries")));
  return Napi::Number::New(info.Env(), bytes);
}

/**
 * xskMapRing(fd, ring, entries, arena, offset, length): maps a ring over arena pages; returns the offsets of
 * its words from the start of the arena.
 */
Napi::Value XskMapRing(const Napi::CallbackInfo& info) {
  Args args(info, "xskMapRing");
  const int fd = args.Fd(0);
  const Ring& ring = RingOf(args, 1);
  const uint32_t entries = args.U32(2, "entries");
  const uint64_t offset = args.Size(4, "offset");
  const uint64_t length = args.Size(5, "length");
  const xdp_mmap_offsets offsets = MapOffsets(fd);
  const xdp_ring_offset& at = offsets.*ring.offsets;
  const uint64_t bytes = MapBytes(ring, at, entries);
  uint8_t* pages = ArenaView(args, 3).Pages(offset, length, ring.name);
  if (bytes > length) {
    throw Napi::RangeError::New(info.Env(), "xskMapRing: a " + std::string(ring.name) + " of " +
                                                std::to_string(entries) + " entries takes " +
                                                std::to_string(bytes) + " bytes, " + std::to_string(length) +
                                                " are given");
  }
  const int flags = MAP_SHARED | MAP_FIXED | MAP_POPULATE;
  if (mmap(pages, bytes, PROT_READ | PROT_WRITE, flags, fd, static_cast<off_t>(ring.mapOffset)) ==
      MAP_FAILED) {
    const int error = errno;
    // The old pages may be gone already, and no arena page may stay unmapped.
    MapAnonymousOver(pages, bytes, std::string(ring.name) + ", " + Socket(fd));
    throw SystemError("mmap", std::string(ring.name) + ", " + Socket(fd), error);
  }
  Napi::Object words = Napi::Object::New(info.Env());
  const auto set = [&](const char* name, uint64_t value) { words.Set(name, static_cast<double>(value)); };
  set("producer", offset + at.producer);
  set("consumer", offset + at.consumer);
  set("flags", offset + at.flags);
  set("desc", offset + at.desc);
  set("mappedBytes", bytes);
  return words;
}

/** xskBind(fd, ifindex, queue, flags, umemFd, name): umemFd counts only under XDP_SHARED_UMEM. */
Napi::Value XskBind(const Napi::CallbackInfo& info) {
  Args args(info, "xskBind");
  const int fd = args.Fd(0);
  sockaddr_xdp address{};
  address.sxdp_family = AF_XDP;
  address.sxdp_ifindex = args.U32(1, "ifindex");
  address.sxdp_queue_id = args.U32(2, "queue");
  address.sxdp_flags = static_cast<uint16_t>(args.Whole(3, "flags", UINT16_MAX));
  if (address.sxdp_flags & XDP_SHARED_UMEM)
    address.sxdp_shared_umem_fd = static_cast<uint32_t>(args.Fd(4, "umemFd"));
  const std::string object =
      "AF_XDP, " + args.String(5, "name") + " queue " + std::to_string(address.sxdp_queue_id);
  Checked(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), "bind", object);
  return info.Env().Undefined();
}

/** xskKickTx(fd): 0 or -errno. EAGAIN, EBUSY and ENOBUFS mean: the kernel has work left, kick again next
 * burst. */
Napi::Value XskKickTx(const Napi::CallbackInfo& info) {
  Args args(info, "xskKickTx");
  const ssize_t result = sendto(args.Fd(0), nullptr, 0, MSG_DONTWAIT, nullptr, 0);
  return Napi::Number::New(info.Env(), result < 0 ? -errno : 0);
}

/** xskKickRx(fd): 0 or -errno. Wakes the driver when the fill ring says XDP_RING_NEED_WAKEUP. */
Napi::Value XskKickRx(const Napi::CallbackInfo& info) {
  Args args(info, "xskKickRx");
  const ssize_t result = recvfrom(args.Fd(0), nullptr, 0, MSG_DONTWAIT, nullptr, nullptr);
  return Napi::Number::New(info.Env(), result < 0 ? -errno : 0);
}

/** xskStatistics(fd): the kernel's counters of this socket since it was made. */
Napi::Value XskStatistics(const Napi::CallbackInfo& info) {
  Args args(info, "xskStatistics");
  const xdp_statistics counters = GetOption<xdp_statistics>(args.Fd(0), XDP_STATISTICS, "XDP_STATISTICS");
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("rxDropped", static_cast<double>(counters.rx_dropped));
  result.Set("rxInvalidDescriptors", static_cast<double>(counters.rx_invalid_descs));
  result.Set("txInvalidDescriptors", static_cast<double>(counters.tx_invalid_descs));
  result.Set("rxRingFull", static_cast<double>(counters.rx_ring_full));
  result.Set("rxFillRingEmpty", static_cast<double>(counters.rx_fill_ring_empty_descs));
  result.Set("txRingEmpty", static_cast<double>(counters.tx_ring_empty_descs));
  return result;
}

/** xskIsZeroCopy(fd): what the kernel chose at bind. */
Napi::Value XskIsZeroCopy(const Napi::CallbackInfo& info) {
  Args args(info, "xskIsZeroCopy");
  const xdp_options options = GetOption<xdp_options>(args.Fd(0), XDP_OPTIONS, "XDP_OPTIONS");
  return Napi::Boolean::New(info.Env(), (options.flags & XDP_OPTIONS_ZEROCOPY) != 0);
}
