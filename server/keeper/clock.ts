// Time as the keeper sees it, in one place that tests can hold. Durations never come from the wall clock.

export interface Timer {
  /** Nothing happens when it has run already. */
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds, with a fraction. */
  now(): number;
  /** ms since 1970: for what people read, never for a difference. */
  date(): number;
  after(delayMs: number, run: () => void): Timer;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => Date.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};
