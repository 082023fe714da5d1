// In what order the leases of a gateway before this one are told their recordings anew: one after the other, those first that somebody waits for.
// All at once would be slower for each of them, and leave no moment in between to whoever comes back meanwhile.
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Hands a recording over piece by piece, and awaits `rest` after each. */
type Tell = (rest: () => Promise<void>) => Promise<void>;

export interface Replay {
  /** Settles as the telling does. */
  readonly done: Promise<void>;
  /** Somebody waits for it. */
  hurry(): void;
}

interface Place {
  /** Lets it go on; null while it does. */
  go: (() => void) | null;
}

export class Replays {
  /** In the order in which somebody asked for them, and of those that nobody has asked for. */
  readonly #asked = new Set<Place>();
  readonly #others = new Set<Place>();
  #current: Place | null = null;

  /** `tell` is called when it is its turn. */
  begin(tell: Tell): Replay {
    const place: Place = { go: null };
    this.#others.add(place);
    return {
      done: this.#tell(place, tell),
      hurry: () => {
        if (this.#others.delete(place)) this.#asked.add(place);
      },
    };
  }

  async #tell(place: Place, tell: Tell): Promise<void> {
    await this.#turn(place);
    try {
      await tell(() => this.#rest(place));
    } finally {
      this.#asked.delete(place);
      this.#others.delete(place);
      this.#letGo();
    }
  }

  async #rest(place: Place): Promise<void> {
    await nextTurn();
    if (this.#first() === place) return;
    const turn = this.#wait(place);
    this.#letGo();
    await turn;
  }

  async #turn(place: Place): Promise<void> {
    const turn = this.#wait(place);
    // Who has just asked for one is known by then.
    await nextTurn();
    if (this.#current === null) this.#letGo();
    await turn;
  }

  #wait(place: Place): Promise<void> {
    return new Promise((resolve) => {
      place.go = resolve;
    });
  }

  #letGo(): void {
    this.#current = this.#first();
    this.#current?.go?.();
    if (this.#current !== null) this.#current.go = null;
  }

  #first(): Place | null {
    const [place = null] = this.#asked.size > 0 ? this.#asked : this.#others;
    return place;
  }
}
