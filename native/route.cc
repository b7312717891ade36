// Addresses and default routes: what tells an interface that the machine needs from one that a switch may
// take.
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

/** One entry per interface that a default route leaves through: a multipath route has several. */
void AddRoutes(Napi::Env env, Napi::Array& routes, const nlmsghdr* message) {
  const rtmsg* body = static_cast<const rtmsg*>(NLMSG_DATA(message));
  if (body->rtm_dst_len != 0 || body->rtm_type != RTN_UNICAST) return;
  if (body->rtm_family != AF_INET && body->rtm_family != AF_INET6) return;
  const Attributes attributes(RTM_RTA(body), message->nlmsg_len - NLMSG_LENGTH(sizeof(*body)));
  const auto add = [&](uint32_t ifindex, const std::string& gateway) {
    Napi::Object route = Napi::Object::New(env);
    route.Set("family", FamilyName(body->rtm_family));
    route.Set("ifindex", ifindex);
    route.Set("gateway", gateway);
    route.Set("table", attributes.U32(RTA_TABLE, body->rtm_table));
    routes.Set(routes.Length(), route);
  };
  if (attributes.Has(RTA_OIF)) {
    add(attributes.U32(RTA_OIF, 0), AddressText(body->rtm_family, attributes.Find(RTA_GATEWAY)));
    return;
  }
  const rtattr* multipath = attributes.Find(RTA_MULTIPATH);
  if (!multipath) return;
  size_t left = RTA_PAYLOAD(multipath);
  for (const rtnexthop* hop = static_cast<const rtnexthop*>(RTA_DATA(multipath)); RTNH_OK(hop, left);) {
    const Attributes own(RTNH_DATA(hop), hop->rtnh_len - sizeof(*hop));
    add(static_cast<uint32_t>(hop->rtnh_ifindex), AddressText(body->rtm_family, own.Find(RTA_GATEWAY)));
    left -= RTNH_ALIGN(hop->rtnh_len);
    hop = RTNH_NEXT(hop);
  }
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

/** defaultRouteList(fd): [{family, ifindex, gateway, table}], every table, multipath routes hop by hop. */
Napi::Value DefaultRouteList(const Napi::CallbackInfo& info) {
  Args args(info, "defaultRouteList");
  Napi::Array routes = Napi::Array::New(info.Env());
  for (const uint8_t family : {AF_INET, AF_INET6}) {
    rtmsg body{};
    body.rtm_family = family;
    NetlinkRequest request(RTM_GETROUTE, NLM_F_DUMP, body);
    NetlinkTransact(args.Fd(0), request, std::string("RTM_GETROUTE, ") + FamilyName(family),
                    [&](const nlmsghdr* message) {
                      if (message->nlmsg_type == RTM_NEWROUTE) AddRoutes(info.Env(), routes, message);
                    });
  }
  return routes;
}
