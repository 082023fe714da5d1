// How long a credential still lives. What this process has made lives as long as it was made for, however the host's clock is set meanwhile;
// of what others have made nothing is known but its end on the wall clock.

/** Made here and remembered, about 1 MB; an older one goes by the wall clock. */
const MAX_KNOWN = 10_000;

export interface Dated {
  readonly id: string;
  /** ms since 1970; null = no end. */
  readonly expiresAtMs: number | null;
}

export interface LifetimeClocks {
  /** Wall clock, ms since 1970. */
  readonly now: () => number;
  /** Monotonic ms. */
  readonly elapsed: () => number;
}

export class Lifetimes {
  readonly #clocks: LifetimeClocks;
  /** Name and end, in monotonic ms. */
  readonly #known = new Map<string, number>();

  constructor(clocks: LifetimeClocks) {
    this.#clocks = clocks;
  }

  begin(id: string, ttlMs: number): void {
    this.#known.set(id, this.#clocks.elapsed() + ttlMs);
    const [oldest] = this.#known.keys();
    if (this.#known.size > MAX_KNOWN && oldest !== undefined) this.#known.delete(oldest);
  }

  /** 0 or less when it is over, Infinity for what has no end. */
  leftMs({ id, expiresAtMs }: Dated): number {
    if (expiresAtMs === null) return Number.POSITIVE_INFINITY;
    const endMs = this.#known.get(id);
    return endMs === undefined ? expiresAtMs - this.#clocks.now() : endMs - this.#clocks.elapsed();
  }
}
