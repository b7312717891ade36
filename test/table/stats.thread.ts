// A worker of flow-stats.test.ts that counts packets of one flow as fast as it can.
import { TableReader } from "../../src/table/table-reader.ts";
import { runThread } from "../support/threads.ts";

export interface CountOptions {
  readonly threadIndex: number;
  readonly flowNo: number;
  readonly bytes: number;
}

runThread<CountOptions>(({ arena, options, stopping }) => {
  const at = new TableReader(arena, options.threadIndex).statsOffset(options.flowNo);
  let counted = 0;
  while (!stopping()) {
    for (let burst = 0; burst < 1000; burst += 1) {
      arena.intrinsics.countFlow(at, 1, options.bytes, 1000 + counted, 0x002);
      counted += 1;
    }
  }
  return counted;
});
