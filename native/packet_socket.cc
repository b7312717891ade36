// AF_PACKET sockets: a TPACKET_V3 receive ring over arena pages, transmission by one sendmmsg a burst.
//
// Receiving takes no system call: the kernel hands over whole blocks by a status word in the arena. Sending
// takes one per burst. The socket is bound last, so that no packet of another interface is ever in its ring.
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "arena_view.h"
#include "exports.h"
#include "netns.h"
#include "segments.h"
#include "status.h"
#include "uapi.h"

namespace {
void SetOption(int fd, int option, int value, const char* name) {
  Checked(setsockopt(fd, SOL_PACKET, option, &value, sizeof(value)), "setsockopt", name);
}

int OpenSocket(Napi::Env env, uint32_t netns) {
  int fd = -1;
  // Protocol 0: nothing is received before bind names the interface.
  RunInNetns(env, netns,
             [&fd] { fd = Checked(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), "socket", "AF_PACKET"); });
  return fd;
}
}  // namespace

/**
 * packetOpen(netns, vnetHeader, qdiscBypass): an unbound socket that doesn't see what it sends. With
 * `vnetHeader` a 10-byte virtio_net_hdr stands before each frame, received and sent.
 */
Napi::Value PacketOpen(const Napi::CallbackInfo& info) {
  Args args(info, "packetOpen");
  const bool vnetHeader = args.Bool(1, "vnetHeader");
  const bool qdiscBypass = args.Bool(2, "qdiscBypass");
  const int fd = OpenSocket(info.Env(), args.U32(0, "netns"));
  try {
    SetOption(fd, PACKET_IGNORE_OUTGOING, 1, "PACKET_IGNORE_OUTGOING");
    if (vnetHeader) SetOption(fd, PACKET_VNET_HDR, 1, "PACKET_VNET_HDR");
    if (qdiscBypass) SetOption(fd, PACKET_QDISC_BYPASS, 1, "PACKET_QDISC_BYPASS");
  } catch (const SystemError&) {
    close(fd);
    throw;
  }
  return Napi::Number::New(info.Env(), fd);
}

/**
 * packetMapRing(fd, arena, offset, blockBytes, blockCount, retireMs): a TPACKET_V3 receive ring over arena
 * pages; a block that is not full is handed over after `retireMs`.
 */
Napi::Value PacketMapRing(const Napi::CallbackInfo& info) {
  Args args(info, "packetMapRing");
  const int fd = args.Fd(0);
  const uint64_t offset = args.Size(2, "offset");
  const uint32_t blockBytes = args.U32(3, "blockBytes");
  const uint32_t blockCount = args.U32(4, "blockCount");
  const uint64_t bytes = uint64_t{blockBytes} * blockCount;
  uint8_t* pages = ArenaView(args, 1).Pages(offset, bytes, "packet ring");
  const std::string object =
      "PACKET_RX_RING of " + std::to_string(blockCount) + " x " + std::to_string(blockBytes);
  const int version = TPACKET_V3;
  tpacket_req3 request{};
  request.tp_block_size = blockBytes;
  request.tp_block_nr = blockCount;
  // TPACKET_V3 packs frames of any size into a block; the frame size only has to divide it.
  request.tp_frame_size = blockBytes;
  request.tp_frame_nr = blockCount;
  request.tp_retire_blk_tov = args.U32(5, "retireMs");
  Checked(setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)), "setsockopt",
          "PACKET_VERSION");
  Checked(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)), "setsockopt", object);
  const int flags = MAP_SHARED | MAP_FIXED | MAP_POPULATE;
  if (mmap(pages, bytes, PROT_READ | PROT_WRITE, flags, fd, 0) == MAP_FAILED) {
    const int error = errno;
    MapAnonymousOver(pages, bytes, object);
    throw SystemError("mmap", object, error);
  }
  return info.Env().Undefined();
}

/** packetBind(fd, ifindex, name): receives and sends on that interface from now on. */
Napi::Value PacketBind(const Napi::CallbackInfo& info) {
  Args args(info, "packetBind");
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = args.Fd(1, "ifindex");
  Checked(bind(args.Fd(0), reinterpret_cast<sockaddr*>(&address), sizeof(address)), "bind",
          "AF_PACKET, " + args.String(2, "name"));
  return info.Env().Undefined();
}

/**
 * packetMute(fd): the socket receives nothing, and counts nothing, until packetUnmute(fd). A fanout is joined
 * after bind: without this each socket would get every packet that comes between the two.
 */
Napi::Value PacketMute(const Napi::CallbackInfo& info) {
  Args args(info, "packetMute");
  sock_filter takeNothing = BPF_STMT(BPF_RET | BPF_K, 0);
  const sock_fprog program{1, &takeNothing};
  Checked(setsockopt(args.Fd(0), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), "setsockopt",
          "SO_ATTACH_FILTER");
  return info.Env().Undefined();
}

Napi::Value PacketUnmute(const Napi::CallbackInfo& info) {
  Args args(info, "packetUnmute");
  const int unused = 0;
  Checked(setsockopt(args.Fd(0), SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused)), "setsockopt",
          "SO_DETACH_FILTER");
  return info.Env().Undefined();
}

/** packetNewFanout(fd, type): a group that nobody in the namespace has, with this socket in it, after bind. */
Napi::Value PacketNewFanout(const Napi::CallbackInfo& info) {
  Args args(info, "packetNewFanout");
  const int fd = args.Fd(0);
  const uint64_t type = args.Whole(1, "type", UINT8_MAX);
  SetOption(fd, PACKET_FANOUT, static_cast<int>((type | PACKET_FANOUT_FLAG_UNIQUEID) << 16), "PACKET_FANOUT");
  int joined = 0;
  socklen_t length = sizeof(joined);
  Checked(getsockopt(fd, SOL_PACKET, PACKET_FANOUT, &joined, &length), "getsockopt", "PACKET_FANOUT");
  return Napi::Number::New(info.Env(), joined & UINT16_MAX);
}

/** packetJoinFanout(fd, group, type): shares the interface's packets with the group's sockets, after bind. */
Napi::Value PacketJoinFanout(const Napi::CallbackInfo& info) {
  Args args(info, "packetJoinFanout");
  const uint64_t group = args.Whole(1, "group", UINT16_MAX);
  const uint64_t type = args.Whole(2, "type", UINT16_MAX);
  SetOption(args.Fd(0), PACKET_FANOUT, static_cast<int>(group | type << 16), "PACKET_FANOUT");
  return info.Env().Undefined();
}

/** packetSetPromiscuous(fd, ifindex, name): for as long as the socket lives; the kernel counts the users. */
Napi::Value PacketSetPromiscuous(const Napi::CallbackInfo& info) {
  Args args(info, "packetSetPromiscuous");
  packet_mreq request{};
  request.mr_ifindex = args.Fd(1, "ifindex");
  request.mr_type = PACKET_MR_PROMISC;
  Checked(setsockopt(args.Fd(0), SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof(request)), "setsockopt",
          "PACKET_ADD_MEMBERSHIP, promiscuous " + args.String(2, "name"));
  return info.Env().Undefined();
}

/**
 * packetSend(fd, arena, segments, segmentCount): sends a burst of frames (segments.h); returns how many went
 * out, or -errno when the first one did not. What is left is the caller's to send again or to drop.
 */
Napi::Value PacketSend(const Napi::CallbackInfo& info) {
  Args args(info, "packetSend");
  const int fd = args.Fd(0);
  SegmentBurst burst(args, ArenaView(args, 1), args.Size(2, "segments"), args.U32(3, "segmentCount"));
  mmsghdr messages[kMaxSegments];
  for (uint32_t i = 0; i < burst.packetCount(); i++) {
    messages[i] = mmsghdr{};
    messages[i].msg_hdr.msg_iov = burst.vectors(i);
    messages[i].msg_hdr.msg_iovlen = burst.vectorCount(i);
  }
  if (burst.packetCount() == 0) return Napi::Number::New(info.Env(), 0);
  const int sent = sendmmsg(fd, messages, burst.packetCount(), MSG_DONTWAIT);
  return Napi::Number::New(info.Env(), sent < 0 ? -errno : sent);
}

/** packetStatistics(fd): {packets, drops, freezes} since the last call: the kernel clears them on reading. */
Napi::Value PacketStatistics(const Napi::CallbackInfo& info) {
  Args args(info, "packetStatistics");
  tpacket_stats_v3 counters{};
  socklen_t length = sizeof(counters);
  Checked(getsockopt(args.Fd(0), SOL_PACKET, PACKET_STATISTICS, &counters, &length), "getsockopt",
          "PACKET_STATISTICS");
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("packets", counters.tp_packets);
  result.Set("drops", counters.tp_drops);
  result.Set("freezes", counters.tp_freeze_q_cnt);
  return result;
}
