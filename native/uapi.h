// Kernel constants that are newer than the headers of Debian 12 (Linux 6.1) or that its headers do not name.
// The values are the kernel's user interface and never change.
#pragma once

#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/if_xdp.h>

#ifndef AF_XDP
#define AF_XDP 44
#endif
#ifndef SOL_XDP
#define SOL_XDP 283
#endif
// Linux 6.6: a packet may be a chain of descriptors.
#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4)
#endif
// Linux 6.17: how many descriptors one sendto() transmits in copy mode.
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif
// Linux 5.18: the program understands packets in several buffers.
#ifndef BPF_F_XDP_HAS_FRAGS
#define BPF_F_XDP_HAS_FRAGS (1U << 5)
#endif
// Linux 5.18: BPF_PROG_TEST_RUN sends frames of its own instead of returning a verdict.
#ifndef BPF_F_TEST_XDP_LIVE_FRAMES
#define BPF_F_TEST_XDP_LIVE_FRAMES (1U << 1)
#endif
// Linux 4.20.
#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif
// Linux 5.14.
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
