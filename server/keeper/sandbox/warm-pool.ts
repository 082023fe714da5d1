// Sandboxes that stand ready for the next commands of a slot, so that these don't wait for their walls. Each is for one slot and for one command, and
// no different from one that is started when it is needed. They come after a slot's first command, off its path and that of the next, and go when it runs
// none for a while.
import type { Network } from '../../../protocol/slot.ts';
import type { Clock, Timer } from '../clock.ts';
import type { SlotPlace } from '../keeper.ts';
import type { Cgroup } from './cgroup.ts';
import type { Sandbox } from './sandbox.ts';

/** A slot that runs no command for so long gives up what stands ready. */
const IDLE_MS = 15_000;
/** As many stand ready as commands began within this time. */
const WINDOW_MS = 1_000;
/** A command has the processors for itself, and what follows it at once has too as long as one stands ready. The next is started behind its end, or this long after its beginning. */
const BESIDE_MS = 20;
const BEHIND_MS = 5;
/** For a slot, and for all slots together: each takes about 1.5 MB. */
const MOST = 4;
const MOST_ALTOGETHER = 64;

/** A sandbox that waits for its order, or will. */
export interface WarmSandbox {
  readonly sandbox: Sandbox;
  readonly group: Cgroup | undefined;
}

export interface WarmPoolOptions {
  /** One that comes up by itself. Rejects when there can be none now. */
  readonly start: (place: SlotPlace, network: Network) => Promise<WarmSandbox>;
  /** Nothing stands ready there any more, nor is to. */
  readonly dropped?: (place: SlotPlace, network: Network) => Promise<void>;
  readonly clock: Clock;
}

/** Of one slot and one network. */
interface Shelf {
  readonly place: SlotPlace;
  readonly network: Network;
  /** The oldest first; the last one may still be coming up. */
  readonly ready: Set<WarmSandbox>;
  /** When its last commands began. */
  begun: number[];
  starting: Promise<void> | null;
  refill: Timer | null;
  idle: Timer | null;
}

export class WarmPool {
  readonly #options: WarmPoolOptions;
  readonly #shelves = new Map<string, Shelf>();
  #closed = false;

  constructor(options: WarmPoolOptions) {
    this.#options = options;
  }

  /** One for a command that begins now. Rejects when there can be none. */
  async take(place: SlotPlace, network: Network): Promise<WarmSandbox> {
    if (this.#closed) return await this.#options.start(place, network);
    const shelf = this.#shelf(place, network);
    const warm = [...shelf.ready].find(({ sandbox }) => sandbox.alive);
    if (warm !== undefined) shelf.ready.delete(warm);
    const now = this.#options.clock.now();
    shelf.begun = [...shelf.begun.filter((at) => at > now - WINDOW_MS), now].slice(-MOST);
    this.#refillIn(BESIDE_MS, shelf);
    shelf.idle?.cancel();
    shelf.idle = this.#options.clock.after(IDLE_MS, () => void this.#drop(shelf));
    const taken = warm ?? (await this.#options.start(place, network));
    // The reply goes out first.
    void taken.sandbox.closed.then(() => this.#refillIn(shelf.ready.size === 0 ? 0 : BEHIND_MS, shelf));
    return taken;
  }

  /** Resolves when nothing stands ready in the slot, or in any. */
  async discard(slot?: string): Promise<void> {
    const shelves = [...this.#shelves.values()].filter(({ place }) => slot === undefined || place.slot === slot);
    await Promise.all(shelves.map((shelf) => this.#drop(shelf)));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.discard();
  }

  #shelf(place: SlotPlace, network: Network): Shelf {
    const name = `${place.slot} ${network}`;
    const known = this.#shelves.get(name);
    if (known !== undefined) return known;
    const shelf = {
      place,
      network,
      ready: new Set<WarmSandbox>(),
      begun: [],
      starting: null,
      refill: null,
      idle: null,
    };
    this.#shelves.set(name, shelf);
    return shelf;
  }

  #refillIn(ms: number, shelf: Shelf): void {
    if (!this.#isKept(shelf)) return;
    shelf.refill?.cancel();
    shelf.refill = this.#options.clock.after(ms, () => this.#refill(shelf));
  }

  #refill(shelf: Shelf): void {
    shelf.refill = null;
    const altogether = [...this.#shelves.values()].reduce((sum, { ready }) => sum + ready.size, 0);
    if (!this.#isKept(shelf) || shelf.starting !== null) return;
    if (shelf.ready.size >= shelf.begun.length || altogether >= MOST_ALTOGETHER) return;
    // One after the other, so that a command which comes meanwhile has its turn.
    shelf.starting = this.#add(shelf).finally(() => {
      shelf.starting = null;
      this.#refill(shelf);
    });
  }

  async #add(shelf: Shelf): Promise<void> {
    const warm = await this.#options.start(shelf.place, shelf.network).catch(() => null);
    if (warm === null) {
      // The next command starts its own, and is told what is wrong.
      shelf.begun = [];
      return;
    }
    if (!this.#isKept(shelf)) return await ended(warm);
    shelf.ready.add(warm);
    void warm.sandbox.closed.then(() => {
      // It died while it waited.
      if (shelf.ready.delete(warm)) void ended(warm);
    });
    await warm.sandbox.joined.catch(() => {
      shelf.begun = [];
      warm.sandbox.destroy();
    });
  }

  #isKept(shelf: Shelf): boolean {
    return this.#shelves.get(`${shelf.place.slot} ${shelf.network}`) === shelf;
  }

  async #drop(shelf: Shelf): Promise<void> {
    if (this.#isKept(shelf)) this.#shelves.delete(`${shelf.place.slot} ${shelf.network}`);
    shelf.refill?.cancel();
    shelf.idle?.cancel();
    const all = [...shelf.ready];
    shelf.ready.clear();
    await Promise.all([shelf.starting, ...all.map(ended)]);
    await this.#options.dropped?.(shelf.place, shelf.network);
  }
}

async function ended({ sandbox, group }: WarmSandbox): Promise<void> {
  sandbox.destroy();
  await sandbox.closed;
  await group?.close().catch(() => undefined);
}
