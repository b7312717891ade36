// SIOCETHTOOL: driver, channels, offload features, link speed of one interface.
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "args.h"
#include "exports.h"
#include "netns.h"
#include "status.h"

namespace {
void Ethtool(int fd, const std::string& name, void* request, const char* what) {
  ifreq ifr{};
  name.copy(ifr.ifr_name, IFNAMSIZ - 1);
  ifr.ifr_data = static_cast<char*>(request);
  Checked(ioctl(fd, SIOCETHTOOL, &ifr), "ioctl", std::string(what) + ", " + name);
}

/** A structure of ethtool that ends in an array of `count` elements. */
template <typename Head, typename Element>
class WithTail {
 public:
  WithTail(uint32_t command, size_t count) : words_((sizeof(Head) + count * sizeof(Element) + 7) / 8) {
    head()->cmd = command;
  }
  Head* head() { return reinterpret_cast<Head*>(words_.data()); }
  Element* tail() {
    return reinterpret_cast<Element*>(reinterpret_cast<uint8_t*>(words_.data()) + sizeof(Head));
  }

 private:
  std::vector<uint64_t> words_;
};

struct FeatureName {
  char text[ETH_GSTRING_LEN];
};

/** The kernel's feature names in the order of their bits; which bit is which differs between kernels. */
std::vector<std::string> FeatureNames(int fd, const std::string& name) {
  WithTail<ethtool_sset_info, uint32_t> set(ETHTOOL_GSSET_INFO, 1);
  set.head()->sset_mask = uint64_t{1} << ETH_SS_FEATURES;
  Ethtool(fd, name, set.head(), "ETHTOOL_GSSET_INFO");
  const uint32_t count = set.head()->sset_mask ? set.tail()[0] : 0;
  WithTail<ethtool_gstrings, FeatureName> strings(ETHTOOL_GSTRINGS, count);
  strings.head()->string_set = ETH_SS_FEATURES;
  strings.head()->len = count;
  Ethtool(fd, name, strings.head(), "ETHTOOL_GSTRINGS");
  std::vector<std::string> names;
  for (uint32_t i = 0; i < count; i++) {
    const char* text = strings.tail()[i].text;
    names.emplace_back(text, strnlen(text, ETH_GSTRING_LEN));
  }
  return names;
}

ethtool_channels Channels(int fd, const std::string& name) {
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  Ethtool(fd, name, &channels, "ETHTOOL_GCHANNELS");
  return channels;
}

template <size_t Size>
std::string Text(const char (&field)[Size]) {
  return std::string(field, strnlen(field, Size));
}
}  // namespace

/** ethtoolOpen(netns): the fd for the functions below. */
Napi::Value EthtoolOpen(const Napi::CallbackInfo& info) {
  Args args(info, "ethtoolOpen");
  int fd = -1;
  RunInNetns(info.Env(), args.U32(0, "netns"), [&fd] {
    fd = Checked(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket", "AF_INET for ethtool");
  });
  return Napi::Number::New(info.Env(), fd);
}

/** ethtoolDriver(fd, name): {driver, version, busInfo}. */
Napi::Value EthtoolDriver(const Napi::CallbackInfo& info) {
  Args args(info, "ethtoolDriver");
  ethtool_drvinfo driver{};
  driver.cmd = ETHTOOL_GDRVINFO;
  Ethtool(args.Fd(0), args.InterfaceName(1, "name"), &driver, "ETHTOOL_GDRVINFO");
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("driver", Text(driver.driver));
  result.Set("version", Text(driver.version));
  result.Set("busInfo", Text(driver.bus_info));
  return result;
}

/** ethtoolChannels(fd, name): {maxRx, maxTx, maxCombined, rx, tx, combined}; EOPNOTSUPP where there are none.
 */
Napi::Value EthtoolChannels(const Napi::CallbackInfo& info) {
  Args args(info, "ethtoolChannels");
  const ethtool_channels channels = Channels(args.Fd(0), args.InterfaceName(1, "name"));
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("maxRx", channels.max_rx);
  result.Set("maxTx", channels.max_tx);
  result.Set("maxCombined", channels.max_combined);
  result.Set("rx", channels.rx_count);
  result.Set("tx", channels.tx_count);
  result.Set("combined", channels.combined_count);
  return result;
}

/** ethtoolSetChannels(fd, name, rx, tx, combined): the `other` channels stay as they are. */
Napi::Value EthtoolSetChannels(const Napi::CallbackInfo& info) {
  Args args(info, "ethtoolSetChannels");
  const int fd = args.Fd(0);
  const std::string name = args.InterfaceName(1, "name");
  ethtool_channels channels = Channels(fd, name);
  channels.cmd = ETHTOOL_SCHANNELS;
  channels.rx_count = args.U32(2, "rx");
  channels.tx_count = args.U32(3, "tx");
  channels.combined_count = args.U32(4, "combined");
  Ethtool(fd, name, &channels, "ETHTOOL_SCHANNELS");
  return info.Env().Undefined();
}

/** ethtoolFeatures(fd, name): {NAME: {active, fixed}} under the names that `ethtool -k` abbreviates. */
Napi::Value EthtoolFeatures(const Napi::CallbackInfo& info) {
  Args args(info, "ethtoolFeatures");
  const int fd = args.Fd(0);
  const std::string name = args.InterfaceName(1, "name");
  const std::vector<std::string> names = FeatureNames(fd, name);
  const size_t blocks = (names.size() + 31) / 32;
  WithTail<ethtool_gfeatures, ethtool_get_features_block> features(ETHTOOL_GFEATURES, blocks);
  features.head()->size = static_cast<uint32_t>(blocks);
  Ethtool(fd, name, features.head(), "ETHTOOL_GFEATURES");
  Napi::Object result = Napi::Object::New(info.Env());
  for (size_t i = 0; i < names.size(); i++) {
    if (names[i].empty()) continue;
    const ethtool_get_features_block& block = features.tail()[i / 32];
    const uint32_t bit = uint32_t{1} << (i % 32);
    Napi::Object feature = Napi::Object::New(info.Env());
    feature.Set("active", (block.active & bit) != 0);
    feature.Set("fixed", (block.available & bit) == 0 || (block.never_changed & bit) != 0);
    result.Set(names[i], feature);
  }
  return result;
}

/** ethtoolSetFeature(fd, name, feature, on): throws EOPNOTSUPP when the interface has no such feature. */
Napi::Value EthtoolSetFeature(const Napi::CallbackInfo& info) {
  Args args(info, "ethtoolSetFeature");
  const int fd = args.Fd(0);
  const std::string name = args.InterfaceName(1, "name");
  const std::string feature = args.String(2, "feature");
  const bool on = args.Bool(3, "on");
  const std::vector<std::string> names = FeatureNames(fd, name);
  size_t index = 0;
  while (index < names.size() && names[index] != feature) index++;
  if (index == names.size()) throw SystemError("ethtool", "feature " + feature + ", " + name, EOPNOTSUPP);
  const size_t blocks = (names.size() + 31) / 32;
  WithTail<ethtool_sfeatures, ethtool_set_features_block> features(ETHTOOL_SFEATURES, blocks);
  features.head()->size = static_cast<uint32_t>(blocks);
  features.tail()[index / 32].valid = uint32_t{1} << (index % 32);
  features.tail()[index / 32].requested = on ? uint32_t{1} << (index % 32) : 0;
  Ethtool(fd, name, features.head(), "ETHTOOL_SFEATURES");
  return info.Env().Undefined();
}

/** ethtoolSpeed(fd, name): the link's speed in Mb/s, or 0 where it has none. */
Napi::Value EthtoolSpeed(const Napi::CallbackInfo& info) {
  Args args(info, "ethtoolSpeed");
  const int fd = args.Fd(0);
  const std::string name = args.InterfaceName(1, "name");
  // Three masks of at most 127 words: the count is a signed byte.
  WithTail<ethtool_link_settings, uint32_t> link(ETHTOOL_GLINKSETTINGS, 3 * 127);
  Ethtool(fd, name, link.head(), "ETHTOOL_GLINKSETTINGS");
  // The first answer is only minus the number of mask words that the kernel wants; ask again with it.
  link.head()->link_mode_masks_nwords = static_cast<int8_t>(-link.head()->link_mode_masks_nwords);
  link.head()->cmd = ETHTOOL_GLINKSETTINGS;
  Ethtool(fd, name, link.head(), "ETHTOOL_GLINKSETTINGS");
  const bool known = link.head()->speed != static_cast<uint32_t>(SPEED_UNKNOWN);
  return Napi::Number::New(info.Env(), known ? link.head()->speed : 0);
}
