// What stands on every slot's terminal, as text, for the wall: pieces of one subscription, and a drawing for each slot alone.
import type { Client } from '../../../client/index.ts';
import { type Readable, Store } from '../store.ts';

export interface SlotScreen {
  readonly slot: string;
  readonly cast: string | null;
  readonly cols: number;
  readonly rows: number;
  readonly lines: readonly string[];
}

export class Screens {
  readonly #stores = new Map<string, Store<SlotScreen | null>>();

  of(slot: string): Readable<SlotScreen | null> {
    return this.#store(slot);
  }

  async attach(_client: Client): Promise<void> {}

  show(): () => void {
    return () => {};
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
