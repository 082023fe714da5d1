// What stands on every slot's terminal, as text, for the wall: one subscription for all of them, only while somebody looks.
import type { Client, Notice } from '../../../client/index.ts';
import { type Readable, Store } from '../store.ts';

export type SlotScreen = Notice<'slots.screens'>['screens'][number];

interface Subscription {
  close(): Promise<void>;
}

export class Screens {
  readonly #stores = new Map<string, Store<SlotScreen | null>>();
  #client: Client | null = null;
  #looking = 0;
  #subscription: Promise<Subscription> | null = null;

  constructor() {
    document.addEventListener('visibilitychange', () => this.#sync());
  }

  /** null until something is known. */
  of(slot: string): Readable<SlotScreen | null> {
    return this.#store(slot);
  }

  attach(client: Client): void {
    this.#client = client;
    client.on('slots.screens', ({ screens }) => {
      for (const screen of screens) this.#store(screen.slot).set(screen);
    });
    this.#sync();
  }

  /** Asks for them until the returned function is called. */
  show(): () => void {
    this.#looking++;
    this.#sync();
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#looking--;
      this.#sync();
    };
  }

  /** Nothing is asked for by a tab that nobody sees. */
  #sync(): void {
    const isWanted = this.#looking > 0 && !document.hidden;
    if (this.#client === null || isWanted === (this.#subscription !== null)) return;
    const before = this.#subscription;
    this.#subscription = isWanted ? this.#client.watchSlots({ screens: true }) : null;
    // A subscription that could not be had is asked for again when somebody looks anew.
    this.#subscription?.catch(() => {});
    void before?.then(
      (subscription) => subscription.close(),
      () => {},
    );
  }

  #store(slot: string): Store<SlotScreen | null> {
    let store = this.#stores.get(slot);
    if (store === undefined) {
      store = new Store<SlotScreen | null>(null);
      this.#stores.set(slot, store);
    }
    return store;
  }
}
