// Every function that JS can call, in the order of the table in addon.cc; each is described where it is
// defined.
#pragma once

#include <napi.h>

#include <cstdint>
#include <string>

// bpf.cc
Napi::Value BpfXdpLoad(const Napi::CallbackInfo& info);
Napi::Value BpfXdpAttach(const Napi::CallbackInfo& info);
Napi::Value BpfSocketSet(const Napi::CallbackInfo& info);
Napi::Value BpfSocketDelete(const Napi::CallbackInfo& info);
Napi::Value BpfUnservedRead(const Napi::CallbackInfo& info);
Napi::Value BpfProgramInfo(const Napi::CallbackInfo& info);
Napi::Value BpfSourceLoad(const Napi::CallbackInfo& info);
Napi::Value BpfSourceRun(const Napi::CallbackInfo& info);

// clock.cc
Napi::Value ClockMilliseconds(const Napi::CallbackInfo& info);
Napi::Value ClockStore(const Napi::CallbackInfo& info);

// ethtool.cc
Napi::Value EthtoolOpen(const Napi::CallbackInfo& info);
Napi::Value EthtoolDriver(const Napi::CallbackInfo& info);
Napi::Value EthtoolChannels(const Napi::CallbackInfo& info);
Napi::Value EthtoolSetChannels(const Napi::CallbackInfo& info);
Napi::Value EthtoolFeatures(const Napi::CallbackInfo& info);
Napi::Value EthtoolSetFeature(const Napi::CallbackInfo& info);
Napi::Value EthtoolSpeed(const Napi::CallbackInfo& info);

// fd_watch.cc
Napi::Value FdClose(const Napi::CallbackInfo& info);
Napi::Value FdWatch(const Napi::CallbackInfo& info);

// link.cc
Napi::Value LinkList(const Napi::CallbackInfo& info);
Napi::Value LinkByName(const Napi::CallbackInfo& info);
Napi::Value LinkByIndex(const Napi::CallbackInfo& info);
Napi::Value LinkSetUp(const Napi::CallbackInfo& info);
Napi::Value LinkSetMtu(const Napi::CallbackInfo& info);
Napi::Value LinkEventsRead(const Napi::CallbackInfo& info);

// netlink.cc
Napi::Value LinkOpen(const Napi::CallbackInfo& info);
Napi::Value LinkEventsOpen(const Napi::CallbackInfo& info);
Napi::Value RouteEventsOpen(const Napi::CallbackInfo& info);

// netns.cc
Napi::Value NetnsOpen(const Napi::CallbackInfo& info);

// packet_socket.cc
Napi::Value PacketOpen(const Napi::CallbackInfo& info);
Napi::Value PacketMapRing(const Napi::CallbackInfo& info);
Napi::Value PacketBind(const Napi::CallbackInfo& info);
Napi::Value PacketMute(const Napi::CallbackInfo& info);
Napi::Value PacketUnmute(const Napi::CallbackInfo& info);
Napi::Value PacketNewFanout(const Napi::CallbackInfo& info);
Napi::Value PacketJoinFanout(const Napi::CallbackInfo& info);
Napi::Value PacketSetPromiscuous(const Napi::CallbackInfo& info);
Napi::Value PacketSend(const Napi::CallbackInfo& info);
Napi::Value PacketStatistics(const Napi::CallbackInfo& info);

// pages.cc
Napi::Value PagesMapHuge(const Napi::CallbackInfo& info);
Napi::Value PagesMapAnonymous(const Napi::CallbackInfo& info);
Napi::Value PagesPopulate(const Napi::CallbackInfo& info);
Napi::Value PagesAdviseHuge(const Napi::CallbackInfo& info);

// privilege.cc
Napi::Value PrivilegeDrop(const Napi::CallbackInfo& info);

// route.cc
Napi::Value AddressList(const Napi::CallbackInfo& info);
Napi::Value DefaultRouteList(const Napi::CallbackInfo& info);
Napi::Value RouteList(const Napi::CallbackInfo& info);
Napi::Value NeighbourList(const Napi::CallbackInfo& info);

// tap.cc
Napi::Value TapOpen(const Napi::CallbackInfo& info);
Napi::Value TapRead(const Napi::CallbackInfo& info);
Napi::Value TapWrite(const Napi::CallbackInfo& info);

// thread.cc
Napi::Value ThreadId(const Napi::CallbackInfo& info);
Napi::Value ThreadSetName(const Napi::CallbackInfo& info);
Napi::Value ThreadAffinity(const Napi::CallbackInfo& info);
Napi::Value ThreadSetAffinity(const Napi::CallbackInfo& info);

// xsk.cc
Napi::Value XskOpen(const Napi::CallbackInfo& info);
Napi::Value XskRegisterUmem(const Napi::CallbackInfo& info);
Napi::Value XskSetRing(const Napi::CallbackInfo& info);
Napi::Value XskSetTxBudget(const Napi::CallbackInfo& info);
Napi::Value XskRingBytes(const Napi::CallbackInfo& info);
Napi::Value XskMapRing(const Napi::CallbackInfo& info);
Napi::Value XskBind(const Napi::CallbackInfo& info);
Napi::Value XskKickTx(const Napi::CallbackInfo& info);
Napi::Value XskKickRx(const Napi::CallbackInfo& info);
Napi::Value XskStatistics(const Napi::CallbackInfo& info);
Napi::Value XskIsZeroCopy(const Napi::CallbackInfo& info);

/** Ordinary zeroed pages over whatever is mapped there (pages.cc). */
void MapAnonymousOver(uint8_t* address, uint64_t length, const std::string& object);
