// Writing a received packet's record (memory/frame-layout.ts) by two stores: a packet of one frame without flags, as
// Packets.setSingle and setPortNo describe it. The words in between that only chains or debugging use become 0.
import { FRAME_META_BYTES, META16, META32, NO_FRAME } from "../../memory/frame-layout.ts";
import type { I32, Statement, V128 } from "../ops/expression.ts";
import { v128Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import { i32x4, v128 } from "../ops/vector.ts";
import type { EmitScope } from "./scope.ts";

/** Where the record's second half begins, and the port number in it. */
const COLD_HALF = 16;
const PORT_LANE = META32.portNo - COLD_HALF / 4;

/** Offset of a frame's record in the frameMeta region. */
export const recordOffset = (frame: I32): I32 => i32.mul(frame, i32.const(FRAME_META_BYTES));

/** The half that is the same for every packet of a port; to be kept in a local. */
export const coldHalf = (portNo: I32): V128 =>
  i32x4.replace_lane(v128.const(new Uint8Array(COLD_HALF)), PORT_LANE, portNo);

/** The half that tells where the data stands, for data known when the code is made. */
export function hotHalf(dataOffset: number, bytes: number): V128 {
  const half = new Uint8Array(COLD_HALF);
  const view = new DataView(half.buffer);
  view.setUint16(META16.dataOffset * 2, dataOffset, true);
  view.setUint16(META16.dataBytes * 2, bytes, true);
  view.setUint32(META32.nextFrame * 4, NO_FRAME, true);
  view.setUint32(META32.packetBytes * 4, bytes, true);
  view.setUint16(META16.segmentCount * 2, 1, true);
  return v128.const(half);
}

/** The same for data known when the packet comes. */
export const hotHalfOf = (dataOffset: I32, bytes: I32): V128 =>
  i32x4.replace_lane(
    i32x4.replace_lane(hotHalf(0, 0), 0, i32.or(dataOffset, i32.shl(bytes, i32.const(16)))),
    META32.packetBytes,
    bytes,
  );

export const storeHotHalf = (scope: EmitScope, record: I32, half: V128): Statement =>
  v128Memory.store(record, half, scope.region("frameMeta"));
export const storeColdHalf = (scope: EmitScope, record: I32, half: V128): Statement =>
  v128Memory.store(record, half, scope.region("frameMeta") + COLD_HALF);
