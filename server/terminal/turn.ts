// One at a time, in the order of asking. Who no longer wants its turn leaves the queue at once and blocks nobody.
import { Fault } from '../../protocol/fault.ts';

export class Turn {
  #last: Promise<void> = Promise.resolve();

  /** Resolves when it is the caller's turn, with what ends it. Fault CANCELLED when the signal is aborted before. */
  async take(signal: AbortSignal): Promise<() => void> {
    const before = this.#last;
    let release: () => void = () => undefined;
    this.#last = new Promise((resolve) => {
      release = resolve;
    });
    if (await comesBefore(before, signal)) return release;
    void before.then(release);
    throw new Fault('CANCELLED');
  }
}

/** True when the promise resolves before the signal is aborted. */
async function comesBefore(promise: Promise<void>, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return false;
  let abort: (() => void) | undefined;
  const aborted = new Promise<false>((resolve) => {
    abort = () => resolve(false);
    signal.addEventListener('abort', abort);
  });
  try {
    return await Promise.race([promise.then(() => true as const), aborted]);
  } finally {
    if (abort) signal.removeEventListener('abort', abort);
  }
}
