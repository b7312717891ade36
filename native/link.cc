// Network links, as netlink describes them: queries, changes, events.
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/socket.h>
// if_link.h of the kernel and net/if.h of the C library name the same flags; IFF_LOWER_UP is the kernel's
// alone.
#ifndef IFF_LOWER_UP
#define IFF_LOWER_UP (1 << 16)
#endif

#include <cstring>

#include "args.h"
#include "exports.h"
#include "netlink.h"
#include "status.h"

namespace {
constexpr size_t kEventBytes = 64 * 1024;

std::string MacText(const rtattr* attribute) {
  std::string text;
  if (!attribute) return text;
  const uint8_t* bytes = static_cast<const uint8_t*>(RTA_DATA(attribute));
  for (size_t i = 0; i < RTA_PAYLOAD(attribute); i++) {
    static const char digits[] = "0123456789abcdef";
    if (i > 0) text += ':';
    text += digits[bytes[i] >> 4];
    text += digits[bytes[i] & 15];
  }
  return text;
}

void SetStatistics(Napi::Env env, Napi::Object& link, const rtattr* attribute) {
  rtnl_link_stats64 counters{};
  if (attribute) memcpy(&counters, RTA_DATA(attribute), std::min(RTA_PAYLOAD(attribute), sizeof(counters)));
  Napi::Object result = Napi::Object::New(env);
  const auto set = [&](const char* name, uint64_t value) { result.Set(name, static_cast<double>(value)); };
  set("rxPackets", counters.rx_packets);
  set("txPackets", counters.tx_packets);
  set("rxBytes", counters.rx_bytes);
  set("txBytes", counters.tx_bytes);
  set("rxErrors", counters.rx_errors);
  set("txErrors", counters.tx_errors);
  set("rxDropped", counters.rx_dropped);
  set("txDropped", counters.tx_dropped);
  link.Set("statistics", result);
}

Napi::Object LinkToJs(Napi::Env env, const nlmsghdr* message) {
  const ifinfomsg* body = static_cast<const ifinfomsg*>(NLMSG_DATA(message));
  const Attributes attributes(IFLA_RTA(body), message->nlmsg_len - NLMSG_LENGTH(sizeof(*body)));
  Napi::Object link = Napi::Object::New(env);
  const auto number = [&](const char* name, double value) { link.Set(name, value); };
  number("ifindex", body->ifi_index);
  link.Set("name", attributes.Text(IFLA_IFNAME));
  link.Set("up", (body->ifi_flags & IFF_UP) != 0);
  link.Set("running", (body->ifi_flags & IFF_RUNNING) != 0);
  link.Set("carrier", (body->ifi_flags & IFF_LOWER_UP) != 0);
  link.Set("promiscuous", attributes.U32(IFLA_PROMISCUITY, 0) > 0);
  number("mtu", attributes.U32(IFLA_MTU, 0));
  number("maxMtu", attributes.U32(IFLA_MAX_MTU, 0));
  number("master", attributes.U32(IFLA_MASTER, 0));
  number("lower", attributes.U32(IFLA_LINK, 0));
  // A lower or peer link in another namespace: its ifindex means nothing here.
  link.Set("lowerElsewhere", attributes.Has(IFLA_LINK_NETNSID));
  number("rxQueues", attributes.U32(IFLA_NUM_RX_QUEUES, 1));
  number("txQueues", attributes.U32(IFLA_NUM_TX_QUEUES, 1));
  link.Set("kind", attributes.Nested(IFLA_LINKINFO).Text(IFLA_INFO_KIND));
  link.Set("mac", MacText(attributes.Find(IFLA_ADDRESS)));
  const Attributes xdp = attributes.Nested(IFLA_XDP);
  number("xdpMode", xdp.U8(IFLA_XDP_ATTACHED, XDP_ATTACHED_NONE));
  number("xdpProgramId", xdp.U32(IFLA_XDP_PROG_ID, 0));
  SetStatistics(env, link, attributes.Find(IFLA_STATS64));
  return link;
}

/** The link that a request names, or undefined when there is none. */
Napi::Value OneLink(Napi::Env env, int fd, NetlinkRequest& request, const std::string& object) {
  Napi::Value link = env.Undefined();
  try {
    NetlinkTransact(fd, request, object, [&](const nlmsghdr* message) {
      if (message->nlmsg_type == RTM_NEWLINK) link = LinkToJs(env, message);
    });
  } catch (const SystemError& error) {
    if (error.error() != ENODEV) throw;
  }
  return link;
}

void ChangeLink(int fd, uint32_t ifindex, unsigned flags, unsigned change, uint32_t mtu,
                const std::string& object) {
  ifinfomsg body{};
  body.ifi_index = static_cast<int>(ifindex);
  body.ifi_flags = flags;
  body.ifi_change = change;
  NetlinkRequest request(RTM_NEWLINK, NLM_F_ACK, body);
  if (mtu != 0) request.Add(IFLA_MTU, &mtu, sizeof(mtu));
  NetlinkTransact(fd, request, object, [](const nlmsghdr*) {});
}
}  // namespace

/** linkList(fd): every link of the namespace. */
Napi::Value LinkList(const Napi::CallbackInfo& info) {
  Args args(info, "linkList");
  NetlinkRequest request(RTM_GETLINK, NLM_F_DUMP, ifinfomsg{});
  Napi::Array links = Napi::Array::New(info.Env());
  NetlinkTransact(args.Fd(0), request, "RTM_GETLINK, all links", [&](const nlmsghdr* message) {
    if (message->nlmsg_type == RTM_NEWLINK) links.Set(links.Length(), LinkToJs(info.Env(), message));
  });
  return links;
}

/** linkByName(fd, name): the link, or undefined when there is none of that name. */
Napi::Value LinkByName(const Napi::CallbackInfo& info) {
  Args args(info, "linkByName");
  const std::string name = args.InterfaceName(1, "name");
  NetlinkRequest request(RTM_GETLINK, 0, ifinfomsg{});
  request.Add(IFLA_IFNAME, name.c_str(), name.size() + 1);
  return OneLink(info.Env(), args.Fd(0), request, "RTM_GETLINK, " + name);
}

/** linkByIndex(fd, ifindex): the link, or undefined when there is none of that index. */
Napi::Value LinkByIndex(const Napi::CallbackInfo& info) {
  Args args(info, "linkByIndex");
  ifinfomsg body{};
  body.ifi_index = static_cast<int>(args.U32(1, "ifindex"));
  NetlinkRequest request(RTM_GETLINK, 0, body);
  return OneLink(info.Env(), args.Fd(0), request, "RTM_GETLINK, ifindex " + std::to_string(body.ifi_index));
}

/** linkSetUp(fd, ifindex, up, name). */
Napi::Value LinkSetUp(const Napi::CallbackInfo& info) {
  Args args(info, "linkSetUp");
  const bool up = args.Bool(2, "up");
  const std::string object = std::string("RTM_NEWLINK, ") + args.String(3, "name") + (up ? " up" : " down");
  ChangeLink(args.Fd(0), args.U32(1, "ifindex"), up ? IFF_UP : 0, IFF_UP, 0, object);
  return info.Env().Undefined();
}

/** linkSetMtu(fd, ifindex, mtu, name). */
Napi::Value LinkSetMtu(const Napi::CallbackInfo& info) {
  Args args(info, "linkSetMtu");
  const uint32_t mtu = args.U32(2, "mtu");
  const std::string object = "RTM_NEWLINK, " + args.String(3, "name") + " mtu " + std::to_string(mtu);
  ChangeLink(args.Fd(0), args.U32(1, "ifindex"), 0, 0, mtu, object);
  return info.Env().Undefined();
}

/**
 * linkEventsRead(fd): the changes that wait, as [{gone, link}]; an empty list when none do, null when the
 * kernel had to drop some: then ask linkList for the state.
 */
Napi::Value LinkEventsRead(const Napi::CallbackInfo& info) {
  Args args(info, "linkEventsRead");
  const int fd = args.Fd(0);
  std::vector<uint8_t> buffer(kEventBytes);
  Napi::Array events = Napi::Array::New(info.Env());
  for (;;) {
    const ssize_t got = recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return events;
    if (got < 0 && errno == ENOBUFS) return info.Env().Null();
    Checked(got, "recv", "link events");
    NetlinkForEach(buffer.data(), static_cast<size_t>(got), [&](const nlmsghdr* message) {
      if (message->nlmsg_type != RTM_NEWLINK && message->nlmsg_type != RTM_DELLINK) return;
      // A bridge that lets a port go says RTM_DELLINK too, of its own family: the link itself is still there.
      if (static_cast<const ifinfomsg*>(NLMSG_DATA(message))->ifi_family != AF_UNSPEC) return;
      Napi::Object event = Napi::Object::New(info.Env());
      event.Set("gone", message->nlmsg_type == RTM_DELLINK);
      event.Set("link", LinkToJs(info.Env(), message));
      events.Set(events.Length(), event);
    });
  }
}
