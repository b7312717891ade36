// The pages under the arena.
//
// An arena page is never left unmapped: JS that reads one ends the process. Where a mapping is replaced the
// new one goes over the old in one system call, and where that call may fail half way, the new pages are made
// elsewhere first.
#include <sys/mman.h>

#include "arena_view.h"
#include "exports.h"
#include "status.h"
#include "uapi.h"

namespace {
constexpr uint64_t kHugePageBytes = 2u << 20;

std::string Describe(uint64_t offset, uint64_t length) {
  return "arena " + std::to_string(offset) + "+" + std::to_string(length);
}
}  // namespace

/**
 * pagesMapHuge(arena, offset, length): puts 2 MiB pages, zeroed, under a range whose address and length are
 * multiples of 2 MiB. What the range held is lost: call it before anything is stored there and before a UMEM
 * is registered.
 *
 * The pages are reserved and populated at an address of the kernel's choice and then moved: mmap with
 * MAP_FIXED may unmap the old pages before it finds that no huge page is free.
 */
Napi::Value PagesMapHuge(const Napi::CallbackInfo& info) {
  Args args(info, "pagesMapHuge");
  const uint64_t offset = args.Size(1, "offset");
  const uint64_t length = args.Size(2, "length");
  uint8_t* target = ArenaView(args, 0).Pages(offset, length, "huge pages", kHugePageBytes);
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE | (21 << MAP_HUGE_SHIFT);
  void* pages = mmap(nullptr, length, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (pages == MAP_FAILED) throw SystemError("mmap", "MAP_HUGETLB, " + Describe(offset, length), errno);
  if (mremap(pages, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, target) == MAP_FAILED) {
    const int error = errno;
    munmap(pages, length);
    throw SystemError("mremap", "huge pages, " + Describe(offset, length), error);
  }
  return info.Env().Undefined();
}

/**
 * pagesMapAnonymous(arena, offset, length): ordinary zeroed pages over whatever is mapped there. Unmaps the
 * rings of a closed port: the kernel frees them once the socket is closed too. Workers must have passed a
 * grace period before.
 */
Napi::Value PagesMapAnonymous(const Napi::CallbackInfo& info) {
  Args args(info, "pagesMapAnonymous");
  const uint64_t offset = args.Size(1, "offset");
  const uint64_t length = args.Size(2, "length");
  uint8_t* target = ArenaView(args, 0).Pages(offset, length, "pages");
  MapAnonymousOver(target, length, Describe(offset, length));
  return info.Env().Undefined();
}

void MapAnonymousOver(uint8_t* address, uint64_t length, const std::string& object) {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  if (mmap(address, length, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED) {
    throw SystemError("mmap", "MAP_FIXED, " + object, errno);
  }
}

/** pagesPopulate(arena, offset, length): makes every page present and writable now, so that no worker faults
 * later. */
Napi::Value PagesPopulate(const Napi::CallbackInfo& info) {
  Args args(info, "pagesPopulate");
  const uint64_t offset = args.Size(1, "offset");
  const uint64_t length = args.Size(2, "length");
  uint8_t* target = ArenaView(args, 0).Pages(offset, length, "pages");
  Checked(madvise(target, length, MADV_POPULATE_WRITE), "madvise",
          "MADV_POPULATE_WRITE, " + Describe(offset, length));
  return info.Env().Undefined();
}

/** pagesAdviseHuge(arena, offset, length): asks for transparent huge pages where they come without a
 * reservation. */
Napi::Value PagesAdviseHuge(const Napi::CallbackInfo& info) {
  Args args(info, "pagesAdviseHuge");
  const uint64_t offset = args.Size(1, "offset");
  const uint64_t length = args.Size(2, "length");
  uint8_t* target = ArenaView(args, 0).Pages(offset, length, "pages");
  Checked(madvise(target, length, MADV_HUGEPAGE), "madvise", "MADV_HUGEPAGE, " + Describe(offset, length));
  return info.Env().Undefined();
}
