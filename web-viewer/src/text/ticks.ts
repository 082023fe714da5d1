// A beat once a second for what goes on. One timer for the whole page, and none while nobody needs it.

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
