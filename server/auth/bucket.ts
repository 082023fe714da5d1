// A token bucket: so many at once, so many a second. Time comes from outside.

export interface BucketOptions {
  readonly size: number;
  readonly perSecond: number;
}

export class Bucket {
  readonly #options: BucketOptions;
  #level: number;
  #atMs: number;

  constructor(options: BucketOptions, nowMs: number) {
    this.#options = options;
    this.#level = options.size;
    this.#atMs = nowMs;
  }

  /** Takes one; false when there is none. */
  take(nowMs: number): boolean {
    if (this.waitMs(nowMs) > 0) return false;
    this.#level--;
    return true;
  }

  /** Puts back what was taken. */
  give(): void {
    this.#level = Math.min(this.#options.size, this.#level + 1);
  }

  /** How long until there is one. */
  waitMs(nowMs: number): number {
    const { size, perSecond } = this.#options;
    this.#level = Math.min(size, this.#level + ((nowMs - this.#atMs) / 1000) * perSecond);
    this.#atMs = nowMs;
    return this.#level >= 1 ? 0 : ((1 - this.#level) / perSecond) * 1000;
  }
}
