// The only file that loads the addon (native/); native-types.ts says what it exports.
//
// The addon makes system calls and nothing else. It is loaded at the first call of native(), so that a thread
// without kernel ports, or a machine that is not Linux, never needs it. Every thread loads it for itself;
// file descriptors are plain numbers of the process and belong to the control thread, which closes them when
// no worker uses them any more.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Native, NativeError } from "./native-types.ts";

export type * from "./native-types.ts";

export function isNativeError(error: unknown): error is NativeError {
  return error instanceof Error && "syscall" in error && "object" in error && "errno" in error;
}

/** errno values that hot functions return with a minus sign; Linux has the same on x86-64 and arm64. */
export const ERRNO = { EAGAIN: 11, EBUSY: 16, ENXIO: 6, EIO: 5, ENETDOWN: 100, ENOBUFS: 105 } as const;

export const XSK_RING = { rx: 0, tx: 1, fill: 2, completion: 3 } as const;
/** Flags of xskBind (linux/if_xdp.h). */
export const XDP_BIND = { sharedUmem: 1, copy: 2, zeroCopy: 4, needWakeup: 8, multiBuffer: 16 } as const;
/** Flags of bpfXdpAttach (linux/if_link.h). */
export const XDP_ATTACH = { generic: 2, native: 4 } as const;
/** Modes in Link.xdpMode (linux/if_link.h). */
export const XDP_MODES = ["none", "native", "generic", "hardware", "several"] as const;
/**
 * Bit 31 of a segment's length: the next segment belongs to the same frame. Of a tap length: the frame was
 * cut.
 */
export const SEGMENT_CONTINUES = 0x8000_0000;
/** Bytes per packet that tapRead and tapWrite lay out: the length word and a virtio_net_hdr of 12 bytes. */
export const TAP_PACKET_BYTES = 16;
export const SEGMENTS_MAX = 1024;
export const PACKET_FANOUT = { hash: 0, cpu: 2 } as const;
/** Capabilities by number (linux/capability.h). */
export const CAPABILITY = { NET_ADMIN: 12, NET_RAW: 13, IPC_LOCK: 14, BPF: 39 } as const;

const ADDON_PATH = join(dirname(fileURLToPath(import.meta.url)), "../../native/build/Release/millrace.node");

let loaded: Native | undefined;

/** The addon. @throws Error that says why it can't be had and what would help. */
export function native(): Native {
  if (loaded !== undefined) return loaded;
  if (process.platform !== "linux") {
    throw new Error(
      `native: not supported on ${process.platform}: afxdp, af_packet, tap and pinned workers need Linux; ` +
        "pcap, null and dummy ports work here",
    );
  }
  try {
    loaded = createRequire(import.meta.url)(ADDON_PATH) as Native;
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new Error(`native: the addon can't be loaded (${cause}); build it with "npm run build"`, {
      cause: error,
    });
  }
  return loaded;
}

/** Why native() would throw, or undefined when it wouldn't. */
export function nativeUnavailable(): string | undefined {
  try {
    native();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
