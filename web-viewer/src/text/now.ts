// The time of day as a value, for durations that go on. One timer for the whole page, and none while nobody needs it.
import { useEffect, useState } from 'preact/hooks';
import { useApp } from '../context.ts';

export class Ticks {
  readonly #listeners = new Set<() => void>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Calls once a second while the page is seen. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    this.#timer ??= setInterval(() => this.#tick(), 1000);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  }

  #tick(): void {
    if (document.hidden) return;
    for (const listener of [...this.#listeners]) listener();
  }
}

/** ms since 1970; draws again once a second while `isOn`. */
export function useNow(isOn = true): number {
  const { ticks } = useApp();
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!isOn) return;
    setNow(Date.now());
    return ticks.listen(() => setNow(Date.now()));
  }, [isOn, ticks]);
  return now;
}
