// Addresses, routes and neighbours: what tells an interface that the machine needs from one that a switch may
// take, and which way tunnels go.
#include <arpa/inet.h>

#include "args.h"
#include "exports.h"
#include "netlink.h"
#include "status.h"

namespace {
std::string AddressText(uint8_t family, const rtattr* attribute) {
  char text[INET6_ADDRSTRLEN] = "";
  const size_t bytes = family == AF_INET ? sizeof(in_addr) : sizeof(in6_addr);
  if (attribute && RTA_PAYLOAD(attribute) >= bytes)
    inet_ntop(family, RTA_DATA(attribute), text, sizeof(text));
  return text;
}

const char* FamilyName(uint8_t family) { return family == AF_INET ? "ipv4" : "ipv6"; }

/** The next hop: RTA_GATEWAY, or RTA_VIA when it is of the other family. "" for none. */
std::string GatewayText(uint8_t family, const Attributes& attributes) {
  const rtattr* via = attributes.Find(RTA_VIA);
  if (attributes.Has(RTA_GATEWAY) || !via || RTA_PAYLOAD(via) < sizeof(rtvia))
    return AddressText(family, attributes.Find(RTA_GATEWAY));
  const rtvia* hop = static_cast<const rtvia*>(RTA_DATA(via));
  const size_t bytes = hop->rtvia_family == AF_INET ? sizeof(in_addr) : sizeof(in6_addr);
  char text[INET6_ADDRSTRLEN] = "";
  if (RTA_PAYLOAD(via) >= sizeof(rtvia) + bytes)
    inet_ntop(hop->rtvia_family, hop->rtvia_addr, text, sizeof(text));
  return text;
}

/** One entry per interface that a route leaves through: a multipath route has several. */
void AddRoutes(Napi::Env env, Napi::Array& routes, const nlmsghdr* message, bool defaults) {
  const rtmsg* body = static_cast<const rtmsg*>(NLMSG_DATA(message));
  if (body->rtm_type != RTN_UNICAST && (defaults || body->rtm_type != RTN_LOCAL)) return;
  if (body->rtm_family != AF_INET && body->rtm_family != AF_INET6) return;
  if (defaults ? body->rtm_dst_len != 0 : (body->rtm_flags & RTM_F_CLONED) != 0) return;
  const Attributes attributes(RTM_RTA(body), message->nlmsg_len - NLMSG_LENGTH(sizeof(*body)));
  const auto add = [&](uint32_t ifindex, const std::string& gateway) {
    Napi::Object route = Napi::Object::New(env);
    route.Set("family", FamilyName(body->rtm_family));
    route.Set("destination", AddressText(body->rtm_family, attributes.Find(RTA_DST)));
    route.Set("prefixLength", body->rtm_dst_len);
    route.Set("ifindex", ifindex);
    route.Set("gateway", gateway);
    route.Set("source", AddressText(body->rtm_family, attributes.Find(RTA_PREFSRC)));
    route.Set("table", attributes.U32(RTA_TABLE, body->rtm_table));
    route.Set("isLocal", body->rtm_type == RTN_LOCAL);
    route.Set("mark", attributes.U32(RTA_MARK, 0));
    route.Set("metric", attributes.U32(RTA_PRIORITY, 0));
    routes.Set(routes.Length(), route);
  };
  if (attributes.Has(RTA_OIF)) {
    add(attributes.U32(RTA_OIF, 0), GatewayText(body->rtm_family, attributes));
    return;
  }
  const rtattr* multipath = attributes.Find(RTA_MULTIPATH);
  if (!multipath) return;
  size_t left = RTA_PAYLOAD(multipath);
  for (const rtnexthop* hop = static_cast<const rtnexthop*>(RTA_DATA(multipath)); RTNH_OK(hop, left);) {
    const Attributes own(RTNH_DATA(hop), hop->rtnh_len - sizeof(*hop));
    add(static_cast<uint32_t>(hop->rtnh_ifindex), GatewayText(body->rtm_family, own));
    left -= RTNH_ALIGN(hop->rtnh_len);
    hop = RTNH_NEXT(hop);
  }
}

Napi::Array Routes(Napi::Env env, int fd, bool defaults) {
  Napi::Array routes = Napi::Array::New(env);
  for (const uint8_t family : {AF_INET, AF_INET6}) {
    rtmsg body{};
    body.rtm_family = family;
    NetlinkRequest request(RTM_GETROUTE, NLM_F_DUMP, body);
    NetlinkTransact(fd, request, std::string("RTM_GETROUTE, ") + FamilyName(family),
                    [&](const nlmsghdr* message) {
                      if (message->nlmsg_type == RTM_NEWROUTE) AddRoutes(env, routes, message, defaults);
                    });
  }
  return routes;
}
}  // namespace

/** addressList(fd): [{ifindex, family, address, prefixLength}]. */
Napi::Value AddressList(const Napi::CallbackInfo& info) {
  Args args(info, "addressList");
  NetlinkRequest request(RTM_GETADDR, NLM_F_DUMP, ifaddrmsg{});
  Napi::Array addresses = Napi::Array::New(info.Env());
  NetlinkTransact(args.Fd(0), request, "RTM_GETADDR", [&](const nlmsghdr* message) {
    if (message->nlmsg_type != RTM_NEWADDR) return;
    const ifaddrmsg* body = static_cast<const ifaddrmsg*>(NLMSG_DATA(message));
    if (body->ifa_family != AF_INET && body->ifa_family != AF_INET6) return;
    const Attributes attributes(IFA_RTA(body), message->nlmsg_len - NLMSG_LENGTH(sizeof(*body)));
    // On a point-to-point link IFA_ADDRESS is the other end.
    const rtattr* own = attributes.Has(IFA_LOCAL) ? attributes.Find(IFA_LOCAL) : attributes.Find(IFA_ADDRESS);
    Napi::Object address = Napi::Object::New(info.Env());
    address.Set("ifindex", body->ifa_index);
    address.Set("family", FamilyName(body->ifa_family));
    address.Set("address", AddressText(body->ifa_family, own));
    address.Set("prefixLength", body->ifa_prefixlen);
    addresses.Set(addresses.Length(), address);
  });
  return addresses;
}

/** defaultRouteList(fd): the default routes of every table, multipath routes hop by hop. */
Napi::Value DefaultRouteList(const Napi::CallbackInfo& info) {
  Args args(info, "defaultRouteList");
  return Routes(info.Env(), args.Fd(0), true);
}

/** routeList(fd): unicast and local routes of every table, multipath routes hop by hop. */
Napi::Value RouteList(const Napi::CallbackInfo& info) {
  Args args(info, "routeList");
  return Routes(info.Env(), args.Fd(0), false);
}

/** neighbourList(fd): [{ifindex, family, address, mac}], those whose link-layer address is known. */
Napi::Value NeighbourList(const Napi::CallbackInfo& info) {
  Args args(info, "neighbourList");
  constexpr uint16_t kKnown =
      NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT;
  constexpr size_t kMacBytes = 6;
  Napi::Array neighbours = Napi::Array::New(info.Env());
  NetlinkRequest request(RTM_GETNEIGH, NLM_F_DUMP, ndmsg{});
  NetlinkTransact(args.Fd(0), request, "RTM_GETNEIGH", [&](const nlmsghdr* message) {
    if (message->nlmsg_type != RTM_NEWNEIGH) return;
    const ndmsg* body = static_cast<const ndmsg*>(NLMSG_DATA(message));
    if (body->ndm_family != AF_INET && body->ndm_family != AF_INET6) return;
    if ((body->ndm_state & kKnown) == 0) return;
    const auto* first = reinterpret_cast<const rtattr*>(reinterpret_cast<const uint8_t*>(body) +
                                                        NLMSG_ALIGN(sizeof(*body)));
    const Attributes attributes(first, message->nlmsg_len - NLMSG_LENGTH(sizeof(*body)));
    const rtattr* mac = attributes.Find(NDA_LLADDR);
    if (!mac || RTA_PAYLOAD(mac) != kMacBytes || !attributes.Has(NDA_DST)) return;
    Napi::Object neighbour = Napi::Object::New(info.Env());
    neighbour.Set("ifindex", static_cast<uint32_t>(body->ndm_ifindex));
    neighbour.Set("family", FamilyName(body->ndm_family));
    neighbour.Set("address", AddressText(body->ndm_family, attributes.Find(NDA_DST)));
    neighbour.Set("mac", Napi::Buffer<uint8_t>::Copy(info.Env(), static_cast<uint8_t*>(RTA_DATA(mac)), kMacBytes));
    neighbours.Set(neighbours.Length(), neighbour);
  });
  return neighbours;
}
