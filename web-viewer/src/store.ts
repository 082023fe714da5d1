// A value that changes, and a hook that shows it. Holds no more than the newest value.
import { useEffect, useState } from 'preact/hooks';

export interface Readable<T> {
  readonly value: T;
  /** Calls after each change; returns how to stop that. */
  listen(listener: () => void): () => void;
}

export class Store<T> implements Readable<T> {
  #value: T;
  readonly #listeners = new Set<() => void>();

  constructor(value: T) {
    this.#value = value;
  }

  get value(): T {
    return this.#value;
  }

  /** Nobody is told of what is the same. */
  set(value: T): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const listener of [...this.#listeners]) listener();
  }

  update(change: (value: T) => T): void {
    this.set(change(this.#value));
  }

  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}

/** The value as it is; draws again with each change. */
export function useStore<T>(store: Readable<T>): T {
  const [, draw] = useState(0);
  useEffect(() => {
    const again = (): void => draw((count) => count + 1);
    // It may have changed between the first drawing and now.
    again();
    return store.listen(again);
  }, [store]);
  return store.value;
}
