// A log that a hostile program cannot flood: so many messages at once, then one for each interval; what was held back is
// told as a number with the next one, as OVS's vlog_rate_limit does it.

const BURST = 20;
const INTERVAL_MILLIS = 1000;

export class RateLimit {
  readonly #log: (message: string) => void;
  readonly #now: () => number;
  #tokens = BURST;
  #lastMillis: number;
  #heldBack = 0;

  constructor(log: (message: string) => void, now: () => number = () => performance.now()) {
    this.#log = log;
    this.#now = now;
    this.#lastMillis = now();
  }

  say(message: string): void {
    const now = this.#now();
    this.#tokens = Math.min(BURST, this.#tokens + (now - this.#lastMillis) / INTERVAL_MILLIS);
    this.#lastMillis = now;
    if (this.#tokens < 1) {
      this.#heldBack += 1;
      return;
    }
    this.#tokens -= 1;
    const heldBack = this.#heldBack === 0 ? "" : ` (and ${this.#heldBack} more messages before it)`;
    this.#heldBack = 0;
    this.#log(message + heldBack);
  }
}
