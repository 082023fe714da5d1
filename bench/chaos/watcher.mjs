// A viewer of one slot during a chaos run: every frame follows the one before by number, or the gap is announced; what was seen is what was recorded.
import { connect } from '../../dist/client/index.js';
import { sleep } from './program.mjs';

export class Watcher {
  /** By recording: texts that came without a gap. */
  seen = new Map();
  #client;
  #ledger;
  #cast = null;
  #seq = 0;
  #ended;
  #isClosing = false;

  static async open({ at, slot, ledger }) {
    const watcher = new Watcher();
    watcher.#ledger = ledger;
    watcher.#client = await connect(at);
    watcher.#ended = watcher.#follow(slot);
    return watcher;
  }

  /** Casts that it saw, in their order. */
  get casts() {
    return [...this.seen.keys()];
  }

  /** Resolves when the watch has ended by itself, or after so long. */
  async close(patienceMs) {
    this.#isClosing = true;
    const timer = setTimeout(() => void this.#client.close(), patienceMs);
    await this.#ended;
    clearTimeout(timer);
    await this.#client.close();
  }

  /** A watch ends with the log that it is of: when a keeper died, the lease has another one. */
  async #follow(slot) {
    while (!this.#isClosing) {
      try {
        for await (const event of await this.#client.watch({ slot })) this.#take(event, slot);
        this.#cast = null;
      } catch (error) {
        // Closed from here, or not there yet.
        const isExcused = error?.fault === undefined || error.fault === 'SHUTTING_DOWN';
        if (!isExcused) this.#ledger.violation('watch', `the watch of ${slot} failed`, { error });
      }
      if (!this.#isClosing) await sleep(200);
    }
  }

  #take(event, slot) {
    const wrong = (what, got) =>
      this.#ledger.violation('gap', `${what} in the watch of ${slot}`, { cast: this.#cast, last: this.#seq, got });
    if (event.kind === 'end') return;
    if (event.kind === 'frames') {
      if (event.seq !== this.#seq + 1)
        wrong('frames do not follow on', { seq: event.seq, frames: event.frames.length });
      this.#seq = event.seq + event.frames.length - 1;
      this.#ledger.add('frames', event.frames.length);
      const texts = this.seen.get(this.#cast);
      texts[texts.length - 1] += event.frames.map(([, code, data]) => (code === 'o' ? data : '')).join('');
      return;
    }
    if (event.kind === 'resync') {
      this.#ledger.add('resyncs');
      if (event.gap.from !== this.#seq + 1 || event.gap.to !== event.seq)
        wrong('a gap is not what is missing', event.gap);
    } else {
      if (event.cast === this.#cast) wrong('a fresh screen of the same recording names no gap', { seq: event.seq });
      this.#cast = event.cast;
    }
    this.#seq = event.seq;
    this.seen.set(this.#cast, [...(this.seen.get(this.#cast) ?? []), '']);
  }
}
