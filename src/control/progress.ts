// How far long work is, told by whoever does it to whoever shows it.

export interface ProgressStep {
  /** What is being done: "reading a.pcap". */
  readonly doing: string;
  readonly done: number;
  /** 0 where nobody knows beforehand. */
  readonly total: number;
  readonly unit: "bytes" | "flows" | "frames" | "seconds";
}

/** Called often; it must be cheap. */
export type ProgressListener = (step: ProgressStep) => void;

const BYTES_PER_MEGABYTE = 1e6;

/** `reading a.pcap: 34 % of 120.3 MB`, or `reading a.pcap: 40.9 MB` when the end is not known. */
export function formatProgress({ doing, done, total, unit }: ProgressStep): string {
  if (total === 0) return `${doing}: ${formatAmount(done, unit)}`;
  return `${doing}: ${Math.floor((100 * Math.min(done, total)) / total)} % of ${formatAmount(total, unit)}`;
}

function formatAmount(amount: number, unit: ProgressStep["unit"]): string {
  if (unit === "bytes") return `${(amount / BYTES_PER_MEGABYTE).toFixed(1)} MB`;
  return `${unit === "seconds" ? amount.toFixed(1) : amount} ${unit}`;
}
