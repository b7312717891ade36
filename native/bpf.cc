// BPF by the raw system call: maps, the redirect program (xdp_prog.h), its link to an interface.
//
// The link is a file descriptor: when the process ends, however it ends, the kernel detaches the program.
// Nothing is pinned, so no earlier life leaves anything behind.
#include <linux/if_link.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arena_view.h"
#include "exports.h"
#include "netns.h"
#include "status.h"
#include "uapi.h"
#include "xdp_prog.h"

namespace {
// Room for the verifier's words about a program that it refuses.
constexpr uint32_t kVerifierLogBytes = 64 * 1024;
// More hardware queues than any driver has; the maps cost 8 and 16 bytes a slot.
constexpr uint64_t kMaxQueues = 4096;

long Bpf(bpf_cmd command, bpf_attr* attr) { return syscall(SYS_bpf, command, attr, sizeof(*attr)); }

class OwnedFd {
 public:
  explicit OwnedFd(int fd) : fd_(fd) {}
  ~OwnedFd() {
    if (fd_ >= 0) close(fd_);
  }
  OwnedFd(const OwnedFd&) = delete;
  OwnedFd& operator=(const OwnedFd&) = delete;
  int get() const { return fd_; }
  int Release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }

 private:
  int fd_;
};

int MapCreate(bpf_map_type type, uint32_t valueBytes, uint32_t slots, const char* name) {
  bpf_attr attr{};
  attr.map_type = type;
  attr.key_size = sizeof(uint32_t);
  attr.value_size = valueBytes;
  attr.max_entries = slots;
  strncpy(attr.map_name, name, sizeof(attr.map_name) - 1);
  return static_cast<int>(Checked(Bpf(BPF_MAP_CREATE, &attr), "bpf", std::string("BPF_MAP_CREATE, ") + name));
}

int ProgramLoad(const std::vector<bpf_insn>& instructions, bool frags, const char* name) {
  static const char license[] = "Apache-2.0";
  std::string log(kVerifierLogBytes, '\0');
  bpf_attr attr{};
  attr.prog_type = BPF_PROG_TYPE_XDP;
  attr.expected_attach_type = BPF_XDP;
  attr.insns = reinterpret_cast<uintptr_t>(instructions.data());
  attr.insn_cnt = static_cast<uint32_t>(instructions.size());
  attr.license = reinterpret_cast<uintptr_t>(license);
  attr.prog_flags = frags ? BPF_F_XDP_HAS_FRAGS : 0;
  strncpy(attr.prog_name, name, sizeof(attr.prog_name) - 1);
  const long fd = Bpf(BPF_PROG_LOAD, &attr);
  if (fd >= 0) return static_cast<int>(fd);
  // A second time with the log on: asking for it in the first place makes a full log an error of its own.
  const int error = errno;
  attr.log_level = 1;
  attr.log_buf = reinterpret_cast<uintptr_t>(log.data());
  attr.log_size = kVerifierLogBytes;
  const long again = Bpf(BPF_PROG_LOAD, &attr);
  if (again >= 0) return static_cast<int>(again);
  const std::string words(log.c_str());
  throw SystemError("bpf", std::string("BPF_PROG_LOAD, ") + name + (words.empty() ? "" : ": " + words),
                    error);
}

bpf_prog_info ProgramInfo(int fd, const std::string& object) {
  bpf_prog_info result{};
  bpf_attr attr{};
  attr.info.bpf_fd = static_cast<uint32_t>(fd);
  attr.info.info_len = sizeof(result);
  attr.info.info = reinterpret_cast<uintptr_t>(&result);
  Checked(Bpf(BPF_OBJ_GET_INFO_BY_FD, &attr), "bpf", "BPF_OBJ_GET_INFO_BY_FD, " + object);
  return result;
}
}  // namespace

/**
 * bpfXdpLoad(queueCount, frags): loads the redirect program with its two maps. `frags` lets it take packets
 * in several buffers. Returns {programFd, programId, socketMapFd, counterMapFd}.
 */
Napi::Value BpfXdpLoad(const Napi::CallbackInfo& info) {
  Args args(info, "bpfXdpLoad");
  const uint32_t slots = static_cast<uint32_t>(args.Whole(0, "queueCount", kMaxQueues)) + 1;
  const bool frags = args.Bool(1, "frags");
  OwnedFd sockets(MapCreate(BPF_MAP_TYPE_XSKMAP, sizeof(uint32_t), slots, "millrace_xsks"));
  OwnedFd counters(MapCreate(BPF_MAP_TYPE_ARRAY, sizeof(uint64_t), slots, "millrace_drops"));
  OwnedFd program(
      ProgramLoad(xdp_prog::Redirect(sockets.get(), counters.get(), slots), frags, "millrace_xsk"));
  const bpf_prog_info loaded = ProgramInfo(program.get(), "redirect program");
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("programId", loaded.id);
  result.Set("programFd", program.Release());
  result.Set("socketMapFd", sockets.Release());
  result.Set("counterMapFd", counters.Release());
  return result;
}

/** bpfXdpAttach(netns, programFd, ifindex, flags, name): the link's fd; flags are XDP_FLAGS_SKB_MODE or
 * _DRV_MODE. */
Napi::Value BpfXdpAttach(const Napi::CallbackInfo& info) {
  Args args(info, "bpfXdpAttach");
  bpf_attr attr{};
  attr.link_create.prog_fd = static_cast<uint32_t>(args.Fd(1, "programFd"));
  attr.link_create.target_ifindex = args.U32(2, "ifindex");
  attr.link_create.attach_type = BPF_XDP;
  attr.link_create.flags = args.U32(3, "flags");
  const std::string object = "BPF_LINK_CREATE, XDP on " + args.String(4, "name");
  long fd = -1;
  // The kernel looks the ifindex up in the namespace of the calling thread.
  RunInNetns(info.Env(), args.U32(0, "netns"),
             [&] { fd = Checked(Bpf(BPF_LINK_CREATE, &attr), "bpf", object); });
  return Napi::Number::New(info.Env(), static_cast<double>(fd));
}

/** bpfSocketSet(socketMapFd, queue, xskFd): packets of `queue` go to that socket from now on. */
Napi::Value BpfSocketSet(const Napi::CallbackInfo& info) {
  Args args(info, "bpfSocketSet");
  const uint32_t queue = args.U32(1, "queue");
  const uint32_t socket = static_cast<uint32_t>(args.Fd(2, "xskFd"));
  bpf_attr attr{};
  attr.map_fd = static_cast<uint32_t>(args.Fd(0, "socketMapFd"));
  attr.key = reinterpret_cast<uintptr_t>(&queue);
  attr.value = reinterpret_cast<uintptr_t>(&socket);
  Checked(Bpf(BPF_MAP_UPDATE_ELEM, &attr), "bpf",
          "BPF_MAP_UPDATE_ELEM, socket of queue " + std::to_string(queue));
  return info.Env().Undefined();
}

/** bpfSocketDelete(socketMapFd, queue): the queue has no socket any more; its packets are counted and
 * dropped. */
Napi::Value BpfSocketDelete(const Napi::CallbackInfo& info) {
  Args args(info, "bpfSocketDelete");
  const uint32_t queue = args.U32(1, "queue");
  bpf_attr attr{};
  attr.map_fd = static_cast<uint32_t>(args.Fd(0, "socketMapFd"));
  attr.key = reinterpret_cast<uintptr_t>(&queue);
  // A socket that was closed first has left the map by itself.
  if (Bpf(BPF_MAP_DELETE_ELEM, &attr) < 0 && errno != ENOENT) {
    throw SystemError("bpf", "BPF_MAP_DELETE_ELEM, socket of queue " + std::to_string(queue), errno);
  }
  return info.Env().Undefined();
}

/** bpfUnservedRead(counterMapFd, slot): packets dropped on that queue for want of a socket. */
Napi::Value BpfUnservedRead(const Napi::CallbackInfo& info) {
  Args args(info, "bpfUnservedRead");
  const uint32_t slot = args.U32(1, "slot");
  uint64_t count = 0;
  bpf_attr attr{};
  attr.map_fd = static_cast<uint32_t>(args.Fd(0, "counterMapFd"));
  attr.key = reinterpret_cast<uintptr_t>(&slot);
  attr.value = reinterpret_cast<uintptr_t>(&count);
  Checked(Bpf(BPF_MAP_LOOKUP_ELEM, &attr), "bpf", "BPF_MAP_LOOKUP_ELEM, counter " + std::to_string(slot));
  return Napi::Number::New(info.Env(), static_cast<double>(count));
}

/** bpfProgramInfo(id): {id, name, tag} of any loaded program; wants CAP_SYS_ADMIN (EPERM without). */
Napi::Value BpfProgramInfo(const Napi::CallbackInfo& info) {
  Args args(info, "bpfProgramInfo");
  bpf_attr attr{};
  attr.prog_id = args.U32(0, "id");
  const std::string object = "program " + std::to_string(attr.prog_id);
  OwnedFd fd(static_cast<int>(
      Checked(Bpf(BPF_PROG_GET_FD_BY_ID, &attr), "bpf", "BPF_PROG_GET_FD_BY_ID, " + object)));
  const bpf_prog_info program = ProgramInfo(fd.get(), object);
  std::string tag;
  for (const uint8_t byte : program.tag) {
    static const char digits[] = "0123456789abcdef";
    tag += digits[byte >> 4];
    tag += digits[byte & 15];
  }
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("id", program.id);
  result.Set("name", std::string(program.name, strnlen(program.name, sizeof(program.name))));
  result.Set("tag", tag);
  return result;
}

/** bpfSourceLoad(ifindex, randomAt): a program that sends live frames out of `ifindex`; see xdp_prog.h. */
Napi::Value BpfSourceLoad(const Napi::CallbackInfo& info) {
  Args args(info, "bpfSourceLoad");
  const uint32_t ifindex = args.U32(0, "ifindex");
  const int16_t randomAt = static_cast<int16_t>(args.Whole(1, "randomAt", 1000));
  return Napi::Number::New(info.Env(),
                           ProgramLoad(xdp_prog::Source(ifindex, randomAt), false, "millrace_source"));
}

/**
 * bpfSourceRun(netns, programFd, arena, offset, length, count): sends `count` copies of a frame as XDP
 * frames, as fast as the calling thread's CPU makes them; returns when they are out. For benchmarks and
 * tests.
 */
Napi::Value BpfSourceRun(const Napi::CallbackInfo& info) {
  Args args(info, "bpfSourceRun");
  const uint32_t length = args.U32(4, "length");
  bpf_attr attr{};
  xdp_md context{};
  context.data_end = length;
  attr.test.prog_fd = static_cast<uint32_t>(args.Fd(1, "programFd"));
  attr.test.data_in =
      reinterpret_cast<uintptr_t>(ArenaView(args, 2).Range(args.Size(3, "offset"), length, "frame"));
  attr.test.data_size_in = length;
  attr.test.ctx_in = reinterpret_cast<uintptr_t>(&context);
  attr.test.ctx_size_in = sizeof(context);
  attr.test.repeat = args.U32(5, "count");
  attr.test.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
  attr.test.batch_size = 64;
  RunInNetns(info.Env(), args.U32(0, "netns"), [&] {
    if (Bpf(BPF_PROG_TEST_RUN, &attr) < 0 && errno != EINTR) {
      throw SystemError("bpf", "BPF_PROG_TEST_RUN, live frames", errno);
    }
  });
  return info.Env().Undefined();
}
