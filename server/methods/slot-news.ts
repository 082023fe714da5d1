// slots.changed for connections that asked by watch.slots: every change, at most a few times a second for each connection.
import type { SlotInfo } from '../../protocol/slot.ts';
import { seesSlot } from '../auth/scope.ts';
import type { Pool } from '../slot/pool.ts';
import type { Peer } from './context.ts';

/** A person sees no more; a slot that runs 100 commands a second makes four messages, not 200. */
const INTERVAL_MS = 250;

interface Reader {
  readonly changed: Set<string>;
  readonly subscription: { close(): void };
  timer: NodeJS.Timeout | null;
  sentAtMs: number;
}

export class SlotNews {
  readonly #pool: Pool;
  readonly #readers = new Map<Peer, Reader>();

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Turns the news on or off for this peer; gives the slots that it may see as they stand. */
  set(peer: Peer, on: boolean): SlotInfo[] {
    const allowed = (name: string): boolean => seesSlot(peer.grant, name);
    if (!on) this.#stop(peer);
    else if (!this.#readers.has(peer)) {
      const subscription = this.#pool.listen(({ name }) => allowed(name) && this.#note(peer, name));
      this.#readers.set(peer, { changed: new Set(), subscription, timer: null, sentAtMs: 0 });
      peer.onClose(() => this.#stop(peer));
    }
    return this.#pool.list().filter(({ slot }) => allowed(slot));
  }

  #note(peer: Peer, name: string): void {
    const reader = this.#readers.get(peer);
    if (reader === undefined) return;
    reader.changed.add(name);
    if (reader.timer !== null) return;
    const waitMs = Math.max(0, reader.sentAtMs + INTERVAL_MS - performance.now());
    reader.timer = setTimeout(() => void this.#send(peer, reader), waitMs);
  }

  async #send(peer: Peer, reader: Reader): Promise<void> {
    const slots = [...reader.changed].map((name) => this.#pool.get(name).info());
    reader.changed.clear();
    reader.sentAtMs = performance.now();
    await peer.notify('slots.changed', { slots });
    reader.timer = null;
    const [waiting] = reader.changed;
    if (waiting !== undefined) this.#note(peer, waiting);
  }

  #stop(peer: Peer): void {
    const reader = this.#readers.get(peer);
    if (reader === undefined) return;
    reader.subscription.close();
    if (reader.timer !== null) clearTimeout(reader.timer);
    this.#readers.delete(peer);
  }
}
