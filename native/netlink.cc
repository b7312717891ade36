#include "netlink.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "args.h"
#include "exports.h"
#include "netns.h"
#include "status.h"

namespace {
// The kernel sends at most 32 KiB in one message of a dump.
constexpr size_t kReceiveBytes = 64 * 1024;
// A dump is inconsistent when the table changed under way; under steady change one of these attempts has to
// do.
constexpr int kDumpAttempts = 10;

int OpenRoute(Napi::Env env, uint32_t netns, int flags, uint32_t groups) {
  int fd = -1;
  RunInNetns(env, netns, [&] {
    fd = Checked(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE), "socket",
                 "NETLINK_ROUTE");
  });
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) < 0) {
    const int error = errno;
    close(fd);
    throw SystemError("bind", "NETLINK_ROUTE", error);
  }
  return fd;
}

/** One attempt; false when the answer was interrupted by a change. */
bool Transact(int fd, uint32_t sequence, const std::string& object, const NetlinkHandler& handler) {
  std::vector<uint8_t> buffer(kReceiveBytes);
  bool done = false;
  bool consistent = true;
  while (!done) {
    ssize_t got = recv(fd, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    Checked(got, "recv", object);
    NetlinkForEach(buffer.data(), static_cast<size_t>(got), [&](const nlmsghdr* message) {
      if (message->nlmsg_seq != sequence) return;
      if (message->nlmsg_flags & NLM_F_DUMP_INTR) consistent = false;
      if (message->nlmsg_type == NLMSG_DONE) {
        done = true;
      } else if (message->nlmsg_type == NLMSG_ERROR) {
        done = true;
        const int error = static_cast<const nlmsgerr*>(NLMSG_DATA(message))->error;
        if (error != 0) throw SystemError("netlink", object, -error);
      } else {
        handler(message);
        if (!(message->nlmsg_flags & NLM_F_MULTI)) done = true;
      }
    });
  }
  return consistent;
}
}  // namespace

void NetlinkRequest::Add(uint16_t type, const void* data, size_t bytes) {
  const size_t at = NLMSG_ALIGN(buffer_.size());
  buffer_.resize(at + RTA_LENGTH(bytes));
  rtattr attribute{};
  attribute.rta_type = type;
  attribute.rta_len = static_cast<unsigned short>(RTA_LENGTH(bytes));
  memcpy(buffer_.data() + at, &attribute, sizeof(attribute));
  memcpy(buffer_.data() + at + RTA_LENGTH(0), data, bytes);
}

std::vector<uint8_t>& NetlinkRequest::Finish() {
  header()->nlmsg_len = static_cast<uint32_t>(buffer_.size());
  return buffer_;
}

Attributes::Attributes(const rtattr* first, size_t bytes) : first_(first), bytes_(bytes) {}

const rtattr* Attributes::Find(uint16_t type) const {
  size_t left = bytes_;
  for (const rtattr* at = first_; RTA_OK(at, left); at = RTA_NEXT(at, left)) {
    if ((at->rta_type & NLA_TYPE_MASK) == type) return at;
  }
  return nullptr;
}

uint32_t Attributes::U32(uint16_t type, uint32_t otherwise) const {
  const rtattr* at = Find(type);
  uint32_t value = otherwise;
  if (at && RTA_PAYLOAD(at) >= sizeof(value)) memcpy(&value, RTA_DATA(at), sizeof(value));
  return value;
}

uint8_t Attributes::U8(uint16_t type, uint8_t otherwise) const {
  const rtattr* at = Find(type);
  return at && RTA_PAYLOAD(at) >= 1 ? *static_cast<const uint8_t*>(RTA_DATA(at)) : otherwise;
}

std::string Attributes::Text(uint16_t type) const {
  const rtattr* at = Find(type);
  if (!at) return "";
  const char* text = static_cast<const char*>(RTA_DATA(at));
  return std::string(text, strnlen(text, RTA_PAYLOAD(at)));
}

Attributes Attributes::Nested(uint16_t type) const {
  const rtattr* at = Find(type);
  if (!at) return Attributes(first_, 0);
  return Attributes(static_cast<const rtattr*>(RTA_DATA(at)), RTA_PAYLOAD(at));
}

void NetlinkForEach(const uint8_t* buffer, size_t bytes, const NetlinkHandler& handler) {
  size_t left = bytes;
  for (const nlmsghdr* message = reinterpret_cast<const nlmsghdr*>(buffer); NLMSG_OK(message, left);
       message = NLMSG_NEXT(message, left)) {
    handler(message);
  }
}

void NetlinkTransact(int fd, NetlinkRequest& request, const std::string& object,
                     const NetlinkHandler& handler) {
  const bool dump = (request.header()->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  for (int attempt = 1;; attempt++) {
    // Answers to a request that failed half way may still lie in the socket; the sequence tells them apart.
    request.header()->nlmsg_seq = static_cast<uint32_t>(attempt) + static_cast<uint32_t>(getpid());
    std::vector<std::vector<uint8_t>> answers;
    std::vector<uint8_t>& bytes = request.Finish();
    Checked(send(fd, bytes.data(), bytes.size(), 0), "send", object);
    const bool consistent = Transact(fd, request.header()->nlmsg_seq, object, [&](const nlmsghdr* message) {
      const uint8_t* start = reinterpret_cast<const uint8_t*>(message);
      answers.emplace_back(start, start + message->nlmsg_len);
    });
    if (dump && !consistent && attempt < kDumpAttempts) continue;
    for (const std::vector<uint8_t>& answer : answers)
      handler(reinterpret_cast<const nlmsghdr*>(answer.data()));
    return;
  }
}

/** linkOpen(netns): the fd for the queries of link.cc and route.cc. */
Napi::Value LinkOpen(const Napi::CallbackInfo& info) {
  Args args(info, "linkOpen");
  return Napi::Number::New(info.Env(), OpenRoute(info.Env(), args.U32(0, "netns"), 0, 0));
}

/** linkEventsOpen(netns): a non-blocking fd that becomes readable when any link of the namespace changes. */
Napi::Value LinkEventsOpen(const Napi::CallbackInfo& info) {
  Args args(info, "linkEventsOpen");
  return Napi::Number::New(info.Env(),
                           OpenRoute(info.Env(), args.U32(0, "netns"), SOCK_NONBLOCK, RTMGRP_LINK));
}

/** routeEventsOpen(netns): the same for its routes, neighbours and addresses, and its links. */
Napi::Value RouteEventsOpen(const Napi::CallbackInfo& info) {
  Args args(info, "routeEventsOpen");
  constexpr uint32_t kGroups = RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE |
                               RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  return Napi::Number::New(info.Env(),
                           OpenRoute(info.Env(), args.U32(0, "netns"), SOCK_NONBLOCK, kGroups));
}
