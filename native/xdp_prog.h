// The XDP program of an AF_XDP port, as the instructions that the kernel's verifier reads.
//
//     queue = min(ctx->rx_queue_index, slots - 1)
//     verdict = redirect_map(sockets, queue, XDP_DROP)      XDP_REDIRECT when the queue has a socket
//     if (verdict == XDP_DROP) unserved[queue]++            otherwise the packet is counted and dropped
//     return verdict
//
// A packet on a queue without a socket is never passed to the kernel's stack: an interface belongs to the
// switch or it does not. The last slot of both maps stands for all queues beyond, and never gets a socket.
#pragma once

#include <cstdint>
#include <vector>

#include "uapi.h"

namespace xdp_prog {
constexpr int kRxQueueIndexAt = 16;  // offset in struct xdp_md
constexpr int kKeyAt = -4;           // the queue number on the program's stack
constexpr int kStackBytes = 8;
static_assert(kKeyAt >= -kStackBytes, "the key lies on the stack");

inline bpf_insn Insn(uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm) {
  bpf_insn insn{};
  insn.code = code;
  insn.dst_reg = dst & 0xf;
  insn.src_reg = src & 0xf;
  insn.off = off;
  insn.imm = imm;
  return insn;
}

inline std::vector<bpf_insn> Redirect(int socketMapFd, int counterMapFd, uint32_t slots) {
  const uint8_t load32 = BPF_LDX | BPF_MEM | BPF_W, store32 = BPF_STX | BPF_MEM | BPF_W;
  const uint8_t loadMap = BPF_LD | BPF_DW | BPF_IMM, call = BPF_JMP | BPF_CALL;
  const uint8_t moveImm = BPF_ALU64 | BPF_MOV | BPF_K, moveReg = BPF_ALU64 | BPF_MOV | BPF_X;
  const int32_t last = static_cast<int32_t>(slots - 1);
  return {
      Insn(load32, 2, 1, kRxQueueIndexAt, 0),                 //  0 r2 = ctx->rx_queue_index
      Insn(BPF_JMP | BPF_JLT | BPF_K, 2, 0, 1, last),         //  1 if (r2 < last) skip
      Insn(moveImm, 2, 0, 0, last),                           //  2 r2 = last
      Insn(store32, 10, 2, kKeyAt, 0),                        //  3 key = r2
      Insn(loadMap, 1, BPF_PSEUDO_MAP_FD, 0, socketMapFd),    //  4 r1 = sockets
      Insn(0, 0, 0, 0, 0),                                    //  5   (second half)
      Insn(moveImm, 3, 0, 0, XDP_DROP),                       //  6 r3 = verdict without a socket
      Insn(call, 0, 0, 0, BPF_FUNC_redirect_map),             //  7 r0 = redirect_map(r1, r2, r3)
      Insn(BPF_JMP | BPF_JNE | BPF_K, 0, 0, 9, XDP_DROP),     //  8 if (r0 != XDP_DROP) goto 18
      Insn(loadMap, 1, BPF_PSEUDO_MAP_FD, 0, counterMapFd),   //  9 r1 = unserved
      Insn(0, 0, 0, 0, 0),                                    // 10   (second half)
      Insn(moveReg, 2, 10, 0, 0),                             // 11 r2 = stack
      Insn(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, kKeyAt),     // 12 r2 = &key
      Insn(call, 0, 0, 0, BPF_FUNC_map_lookup_elem),          // 13 r0 = &unserved[key]
      Insn(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2, 0),            // 14 the verifier wants the null check
      Insn(moveImm, 1, 0, 0, 1),                              // 15 r1 = 1
      Insn(BPF_STX | BPF_ATOMIC | BPF_DW, 0, 1, 0, BPF_ADD),  // 16 *r0 += r1, atomically: queues share CPUs
      Insn(moveImm, 0, 0, 0, XDP_DROP),                       // 17 r0 = XDP_DROP
      Insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),                   // 18 return r0
  };
}

// The program of a frame source (BPF_PROG_TEST_RUN with live frames): writes a random number of 0..63 into
// one byte of the frame, so that flows differ, and sends it out of an interface. A load from the packet wants
// its bounds proven: that is what the comparison is for.
inline std::vector<bpf_insn> Source(uint32_t ifindex, int16_t randomAt) {
  const uint8_t load32 = BPF_LDX | BPF_MEM | BPF_W, call = BPF_JMP | BPF_CALL;
  const uint8_t moveImm = BPF_ALU64 | BPF_MOV | BPF_K, moveReg = BPF_ALU64 | BPF_MOV | BPF_X;
  return {
      Insn(moveReg, 6, 1, 0, 0),                                 //  0 r6 = ctx
      Insn(call, 0, 0, 0, BPF_FUNC_get_prandom_u32),             //  1 r0 = random
      Insn(BPF_ALU64 | BPF_AND | BPF_K, 0, 0, 0, 63),            //  2 r0 &= 63
      Insn(load32, 2, 6, 0, 0),                                  //  3 r2 = ctx->data
      Insn(load32, 3, 6, 4, 0),                                  //  4 r3 = ctx->data_end
      Insn(moveReg, 4, 2, 0, 0),                                 //  5 r4 = r2
      Insn(BPF_ALU64 | BPF_ADD | BPF_K, 4, 0, 0, randomAt + 1),  // 6 r4 += randomAt + 1
      Insn(BPF_JMP | BPF_JGT | BPF_X, 4, 3, 1, 0),               //  7 if (r4 > r3) skip
      Insn(BPF_STX | BPF_MEM | BPF_B, 2, 0, randomAt, 0),        //  8 r2[randomAt] = r0
      Insn(moveImm, 1, 0, 0, static_cast<int32_t>(ifindex)),     //  9 r1 = ifindex
      Insn(moveImm, 2, 0, 0, 0),                                 // 10 r2 = flags
      Insn(call, 0, 0, 0, BPF_FUNC_redirect),                    // 11 r0 = redirect(r1, r2)
      Insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),                      // 12 return r0
  };
}
}  // namespace xdp_prog
