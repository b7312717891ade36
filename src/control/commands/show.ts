// millrace/ports-show, flows-show, workers-show, drops-show, masks-show: the daemon's pictures of itself.
import { readThreadTotals, readTotals, type ThreadTotals } from "../../datapath/counters.ts";
import { DROP_REASONS } from "../../datapath/drop-reason.ts";
import { formatMask } from "../../flow/format-mask.ts";
