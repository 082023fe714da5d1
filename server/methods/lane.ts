// Lets few costly calls run at once, in turn among those who ask: whoever asks for thousands waits behind himself, and others next to him.
// It never runs more of one party than of another while both wait.

/** At once, of everybody: each works in slices of some milliseconds, and the event loop goes through all of them before it comes to others. */
const AT_ONCE = 8;
/** At once, of one party: the rest is for the others, however long these take. */
const OF_ONE_PARTY = 4;

interface Party {
  readonly waiting: (() => void)[];
  running: number;
}

export class Lane {
  /** In the order of their turns. */
  readonly #parties = new Map<string, Party>();
  #running = 0;
  #isStarting = false;

  /** Runs the work when it is its party's turn; settles as it does. */
  async run<T>(name: string, work: () => Promise<T>): Promise<T> {
    const party = this.#party(name);
    await new Promise<void>((resolve) => {
      party.waiting.push(resolve);
      this.#startSoon();
    });
    try {
      return await work();
    } finally {
      this.#running--;
      party.running--;
      if (party.running === 0 && party.waiting.length === 0) this.#parties.delete(name);
      this.#startSoon();
    }
  }

  /** The same pieces, each of them made in turn. */
  async *pieces<T>(name: string, source: AsyncGenerator<T>): AsyncGenerator<T> {
    try {
      for (;;) {
        const next = await this.run(name, () => source.next());
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      await source.return(undefined);
    }
  }

  #party(name: string): Party {
    const party = this.#parties.get(name) ?? { waiting: [], running: 0 };
    this.#parties.set(name, party);
    return party;
  }

  /** One for each turn of the event loop, so that others have theirs in between. */
  #startSoon(): void {
    if (this.#isStarting) return;
    this.#isStarting = true;
    setImmediate(() => {
      this.#isStarting = false;
      if (this.#startOne()) this.#startSoon();
    });
  }

  #startOne(): boolean {
    if (this.#running >= AT_ONCE) return false;
    for (const [name, party] of this.#parties) {
      if (party.running >= OF_ONE_PARTY) continue;
      const start = party.waiting.shift();
      if (start === undefined) continue;
      // Behind the others from now on.
      this.#parties.delete(name);
      this.#parties.set(name, party);
      this.#running++;
      party.running++;
      start();
      return true;
    }
    return false;
  }
}
