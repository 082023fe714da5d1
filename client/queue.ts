// A bounded line between what arrives and one reader who iterates. It never holds more than its limit: who pushes too much is told.

export interface QueueOptions<T> {
  /** The most that may wait, in the unit of `sizeOf`. */
  readonly limit: number;
  readonly sizeOf: (item: T) => number;
  /** Called when an item went over the limit; may take items out by `clear` or `shift`. */
  readonly overflow: (queue: Queue<T>) => void;
  /** Called before the reader waits for the next item. */
  readonly thirsty?: () => void;
  /** Called when the reader leaves early. */
  readonly left?: () => void;
}

type Ending = { readonly error: unknown } | 'ended';

export class Queue<T> implements AsyncIterable<T> {
  readonly #options: QueueOptions<T>;
  #items: T[] = [];
  #head = 0;
  #size = 0;
  #ending: Ending | null = null;
  #wake: (() => void) | null = null;
  #isRead = false;

  constructor(options: QueueOptions<T>) {
    this.#options = options;
  }

  /** What waits, in the unit of `sizeOf`. */
  get size(): number {
    return this.#size;
  }

  /** The limit that is kept. */
  get isOver(): boolean {
    return this.#size > this.#options.limit;
  }

  push(item: T): void {
    if (this.#ending !== null) return;
    this.#items.push(item);
    this.#size += this.#options.sizeOf(item);
    if (this.isOver) this.#options.overflow(this);
    this.#wakeReader();
  }

  /** Takes the oldest item out; undefined when nothing waits. */
  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head++];
    // Moving the rest up for each item would cost their number each time.
    if (this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    if (item !== undefined) this.#size -= this.#options.sizeOf(item);
    return item;
  }

  clear(): void {
    this.#items = [];
    this.#head = 0;
    this.#size = 0;
  }

  /** What waits is still read; then the iteration ends, or throws `error`. */
  end(ending: Ending = 'ended'): void {
    this.#ending ??= ending;
    this.#wakeReader();
  }

  /** One reader: what it took, no other gets. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    if (this.#isRead) throw new TypeError('This is read already: it can be iterated once.');
    this.#isRead = true;
    try {
      for (;;) {
        const item = this.shift();
        if (item !== undefined) yield item;
        else if (this.#ending !== null) return this.#finish(this.#ending);
        else await this.#next();
      }
    } finally {
      this.#options.left?.();
    }
  }

  #finish(ending: Ending): void {
    if (ending !== 'ended') throw ending.error;
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#options.thirsty?.();
    });
  }

  #wakeReader(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
