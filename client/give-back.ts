// Waits until a slot that somebody else drives is given back: asks again and again, with pauses. It knows nothing of leases and connections.

/** The first pause, doubled up to the longest: a person who only pressed one key is not waited for long, one who works for an hour costs little. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 2_000;

export interface GiveBackParts {
  /** False when it has to be asked again later; rejects when that makes no sense any more. */
  ask(): Promise<boolean>;
  /** From 0 to below 1, for the pauses. */
  readonly random: () => number;
}

export class GiveBackWait {
  readonly #parts: GiveBackParts;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #tries = 0;
  #isClosed = false;

  /** Asks for the first time after a pause. */
  constructor(parts: GiveBackParts) {
    this.#parts = parts;
    this.#pause();
  }

  /** Asks no more; idempotent. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #pause(): void {
    const longestMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#tries++);
    this.#timer = setTimeout(() => void this.#ask(), longestMs * (0.5 + this.#parts.random() / 2));
  }

  async #ask(): Promise<void> {
    const isDone = await this.#parts.ask().catch(() => true);
    if (isDone) this.close();
    else if (!this.#isClosed) this.#pause();
  }
}
