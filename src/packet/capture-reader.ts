// Opens a capture of either format: the first four bytes say which reader takes the rest.

import { CaptureError, type CaptureReader, FeedBuffer } from "./capture.ts";
import { isPcapMagic, PcapReader } from "./pcap.ts";
import { isPcapngMagic, PcapngReader } from "./pcapng.ts";

const MAGIC_BYTES = 4;

/**
 * The reader for a capture whose first chunk is given; that chunk is fed already and must hold the four bytes
 * of the magic. `source` names the file in errors.
 */
export function openCapture(source: string, firstChunk: Uint8Array): CaptureReader {
  if (firstChunk.length < MAGIC_BYTES) {
    throw new CaptureError(
      source,
      0,
      "file header",
      `only ${firstChunk.length} bytes, fewer than a magic has`,
    );
  }
  const feed = new FeedBuffer();
  feed.feed(firstChunk);
  if (isPcapMagic(firstChunk, 0)) return new PcapReader(source, feed);
  if (isPcapngMagic(firstChunk, 0)) return new PcapngReader(source, feed);
  const magic = Array.from(firstChunk.subarray(0, MAGIC_BYTES), (byte) => byte.toString(16).padStart(2, "0"));
  throw new CaptureError(source, 0, "file header", `bytes ${magic.join(" ")} begin neither pcap nor pcapng`);
}
