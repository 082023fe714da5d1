// Shares what frame logs may keep in memory among them: for who is a few milliseconds behind. What is older is in the recording.
import type { FrameLog } from './frame-log.ts';

/** Of all logs together, and of one of them at most and at least. */
const TOTAL_BYTES = 8 * 1024 * 1024;
const MOST_BYTES = 1024 * 1024;
const LEAST_BYTES = 64 * 1024;

export class RingBudget {
  readonly #logs = new Set<FrameLog>();

  add(log: FrameLog): void {
    this.#logs.add(log);
    this.#share();
  }

  remove(log: FrameLog): void {
    this.#logs.delete(log);
    this.#share();
  }

  #share(): void {
    const share = Math.min(MOST_BYTES, Math.max(LEAST_BYTES, TOTAL_BYTES / this.#logs.size));
    for (const log of this.#logs) log.ringBytes = share;
  }
}
