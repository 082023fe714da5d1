// Lets others have their turn in the middle of long work. It does no work itself.

/** Longest stretch of work before others get their turn. */
const SLICE_MS = 8;

export class Slice {
  #deadlineMs = performance.now() + SLICE_MS;

  /** Whether others have waited long enough; a look costs nothing in a tight loop. */
  get over(): boolean {
    return performance.now() >= this.#deadlineMs;
  }

  /** To be awaited between two steps when the slice is over. */
  async rest(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#deadlineMs = performance.now() + SLICE_MS;
  }
}
