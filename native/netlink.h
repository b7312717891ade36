// Route netlink: one request, all its answers.
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

/** A request under construction: header, family header, attributes. */
class NetlinkRequest {
 public:
  template <typename Body>
  NetlinkRequest(uint16_t type, uint16_t flags, const Body& body) : buffer_(NLMSG_LENGTH(sizeof(Body))) {
    header()->nlmsg_type = type;
    header()->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    *static_cast<Body*>(NLMSG_DATA(header())) = body;
  }

  void Add(uint16_t type, const void* data, size_t bytes);
  nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(buffer_.data()); }
  std::vector<uint8_t>& Finish();

 private:
  std::vector<uint8_t> buffer_;
};

/** The attributes of one message, by type. */
class Attributes {
 public:
  Attributes(const rtattr* first, size_t bytes);

  const rtattr* Find(uint16_t type) const;
  bool Has(uint16_t type) const { return Find(type) != nullptr; }
  uint32_t U32(uint16_t type, uint32_t otherwise) const;
  uint8_t U8(uint16_t type, uint8_t otherwise) const;
  std::string Text(uint16_t type) const;
  Attributes Nested(uint16_t type) const;

 private:
  const rtattr* first_;
  size_t bytes_;
};

using NetlinkHandler = std::function<void(const nlmsghdr*)>;

/**
 * Sends a request and calls `handler` for each message of the answer. A dump that changed under way is asked
 * for again. `object` names the request in errors.
 */
void NetlinkTransact(int fd, NetlinkRequest& request, const std::string& object,
                     const NetlinkHandler& handler);

/** Calls `handler` for each message in a buffer that recv filled. */
void NetlinkForEach(const uint8_t* buffer, size_t bytes, const NetlinkHandler& handler);
