// The addon: system calls and nothing else. No policy, no packet is looked into.
//
// This table is everything that it exports; src/native.ts declares the same names with their types. The addon
// is loaded by every worker, each with its own environment: there is no mutable global here or in any other
// file.
#include <napi.h>

#include "addon_data.h"
#include "exports.h"
#include "status.h"

namespace {
struct Export {
  const char* name;
  Napi::Value (*function)(const Napi::CallbackInfo&);
};

constexpr Export kExports[] = {
    {"bpfXdpLoad", Guarded<BpfXdpLoad>},
    {"bpfXdpAttach", Guarded<BpfXdpAttach>},
    {"bpfSocketSet", Guarded<BpfSocketSet>},
    {"bpfSocketDelete", Guarded<BpfSocketDelete>},
    {"bpfUnservedRead", Guarded<BpfUnservedRead>},
    {"bpfProgramInfo", Guarded<BpfProgramInfo>},
    {"bpfSourceLoad", Guarded<BpfSourceLoad>},
    {"bpfSourceRun", Guarded<BpfSourceRun>},
    {"clockMilliseconds", Guarded<ClockMilliseconds>},
    {"clockStore", Guarded<ClockStore>},
    {"ethtoolOpen", Guarded<EthtoolOpen>},
    {"ethtoolDriver", Guarded<EthtoolDriver>},
    {"ethtoolChannels", Guarded<EthtoolChannels>},
    {"ethtoolSetChannels", Guarded<EthtoolSetChannels>},
    {"ethtoolFeatures", Guarded<EthtoolFeatures>},
    {"ethtoolSetFeature", Guarded<EthtoolSetFeature>},
    {"ethtoolSpeed", Guarded<EthtoolSpeed>},
    {"fdClose", Guarded<FdClose>},
    {"fdWatch", Guarded<FdWatch>},
    {"linkList", Guarded<LinkList>},
    {"linkByName", Guarded<LinkByName>},
    {"linkByIndex", Guarded<LinkByIndex>},
    {"linkSetUp", Guarded<LinkSetUp>},
    {"linkSetMtu", Guarded<LinkSetMtu>},
    {"linkEventsRead", Guarded<LinkEventsRead>},
    {"linkOpen", Guarded<LinkOpen>},
    {"linkEventsOpen", Guarded<LinkEventsOpen>},
    {"routeEventsOpen", Guarded<RouteEventsOpen>},
    {"netnsOpen", Guarded<NetnsOpen>},
    {"packetOpen", Guarded<PacketOpen>},
    {"packetMapRing", Guarded<PacketMapRing>},
    {"packetBind", Guarded<PacketBind>},
    {"packetMute", Guarded<PacketMute>},
    {"packetUnmute", Guarded<PacketUnmute>},
    {"packetNewFanout", Guarded<PacketNewFanout>},
    {"packetJoinFanout", Guarded<PacketJoinFanout>},
    {"packetSetPromiscuous", Guarded<PacketSetPromiscuous>},
    {"packetSend", Guarded<PacketSend>},
    {"packetStatistics", Guarded<PacketStatistics>},
    {"pagesMapHuge", Guarded<PagesMapHuge>},
    {"pagesMapAnonymous", Guarded<PagesMapAnonymous>},
    {"pagesPopulate", Guarded<PagesPopulate>},
    {"pagesAdviseHuge", Guarded<PagesAdviseHuge>},
    {"privilegeDrop", Guarded<PrivilegeDrop>},
    {"addressList", Guarded<AddressList>},
    {"defaultRouteList", Guarded<DefaultRouteList>},
    {"routeList", Guarded<RouteList>},
    {"neighbourList", Guarded<NeighbourList>},
    {"tapOpen", Guarded<TapOpen>},
    {"tapRead", Guarded<TapRead>},
    {"tapWrite", Guarded<TapWrite>},
    {"threadId", Guarded<ThreadId>},
    {"threadSetName", Guarded<ThreadSetName>},
    {"threadAffinity", Guarded<ThreadAffinity>},
    {"threadSetAffinity", Guarded<ThreadSetAffinity>},
    {"xskOpen", Guarded<XskOpen>},
    {"xskRegisterUmem", Guarded<XskRegisterUmem>},
    {"xskSetRing", Guarded<XskSetRing>},
    {"xskSetTxBudget", Guarded<XskSetTxBudget>},
    {"xskRingBytes", Guarded<XskRingBytes>},
    {"xskMapRing", Guarded<XskMapRing>},
    {"xskBind", Guarded<XskBind>},
    {"xskKickTx", Guarded<XskKickTx>},
    {"xskKickRx", Guarded<XskKickRx>},
    {"xskStatistics", Guarded<XskStatistics>},
    {"xskIsZeroCopy", Guarded<XskIsZeroCopy>},
};

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new AddonData());
  for (const Export& entry : kExports)
    exports.Set(entry.name, Napi::Function::New(env, entry.function, entry.name));
  return exports;
}
}  // namespace

NODE_API_MODULE(millrace, Init)
