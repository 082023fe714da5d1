// All slots as they change, for a list or a wall of them. Keeps only the newest state: who reads slowly misses steps, never the outcome.
import type { SlotInfo } from '../protocol/slot.ts';
import { Queue } from './queue.ts';

export interface SlotWatchParts {
  /** Turns the news on and gives the list as it stands. */
  begin(): Promise<readonly SlotInfo[]>;
  end(): Promise<void>;
  /** Calls with every change, and after each reconnect. Returns how to stop that. */
  listen(listener: {
    changed(slots: readonly SlotInfo[]): void;
    connected(): void;
    closed(error: Error): void;
  }): () => void;
}

export class SlotWatch implements AsyncIterable<readonly SlotInfo[]> {
  readonly #parts: SlotWatchParts;
  readonly #queue: Queue<readonly SlotInfo[]>;
  readonly #stopListening: () => void;
  #slots = new Map<string, SlotInfo>();
  #isClosed = false;

  private constructor(parts: SlotWatchParts) {
    this.#parts = parts;
    this.#queue = new Queue({
      limit: 1,
      sizeOf: () => 1,
      overflow: (queue) => void queue.shift(),
      left: () => void this.close(),
    });
    this.#stopListening = parts.listen({
      changed: (slots) => this.#take(slots),
      connected: () => void this.#again(),
      closed: (error) => this.#queue.end({ error }),
    });
  }

  static async start(parts: SlotWatchParts): Promise<SlotWatch> {
    const watch = new SlotWatch(parts);
    try {
      watch.#take(await parts.begin());
    } catch (error) {
      watch.#stopListening();
      throw error;
    }
    return watch;
  }

  /** The whole list at first and after each change. Can be iterated once; leaving the loop stops the watch. */
  [Symbol.asyncIterator](): AsyncGenerator<readonly SlotInfo[], void, undefined> {
    return this.#queue[Symbol.asyncIterator]();
  }

  /** Stops watching; idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stopListening();
    this.#queue.end();
    await this.#parts.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #take(slots: readonly SlotInfo[]): void {
    for (const slot of slots) this.#slots.set(slot.slot, slot);
    this.#queue.push([...this.#slots.values()]);
  }

  async #again(): Promise<void> {
    try {
      const slots = await this.#parts.begin();
      this.#slots = new Map();
      this.#take(slots);
    } catch {
      // The connection is lost again: the next one begins anew.
    }
  }
}
