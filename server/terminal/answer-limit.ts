// How many answers of the terminal a program gets. Who asks without end doesn't read them: they would all come to the next command line.

/** A full-screen program asks a few dozen things when it begins, and one that follows the cursor some ten a second. */
const MAX_ANSWERS = 200;
const WINDOW_MS = 1000;

export class AnswerLimit {
  /** In the window that began then. */
  #answers = 0;
  #fromMs = Number.NEGATIVE_INFINITY;

  /** Whether another one may be given now; it counts as given. */
  allows(): boolean {
    const now = performance.now();
    if (now - this.#fromMs >= WINDOW_MS) {
      this.#fromMs = now;
      this.#answers = 0;
    }
    return ++this.#answers <= MAX_ANSWERS;
  }
}
