// Checks recordings along their chains, a few at a time and piece by piece, so that others get their turn. It changes none.
import { CastVerifier, type Verdict } from '../../protocol/cast-verifier.ts';
import { Fault } from '../../protocol/fault.ts';
import { chainHash } from '../keeper/chain-hash.ts';
import { readPieces, withFile } from './recording.ts';
import { Slice } from './slice.ts';

/** Each reads its file as fast as it can: more at once would only take the disk and the processor from who works. */
const MAX_RUNNING = 2;
/** Enough for a page of recordings; who asks for more has to wait himself. */
const MAX_WAITING = 100;

export class Verifications {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** Rejects with the signal's reason when it is aborted. Faults: CAST_NOT_FOUND, RATE_LIMITED. */
  async verify(path: string, cast: string, signal?: AbortSignal): Promise<Verdict> {
    await this.#turn();
    try {
      return await verdictOn(path, cast, signal);
    } finally {
      // Whoever ends lets the next one in, so that nobody who comes meanwhile overtakes.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  async #turn(): Promise<void> {
    if (this.#running < MAX_RUNNING) {
      this.#running++;
      return;
    }
    if (this.#waiting.length >= MAX_WAITING) {
      throw new Fault('RATE_LIMITED', `${MAX_WAITING} recordings wait to be verified. Ask again later.`);
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

async function verdictOn(path: string, cast: string, signal?: AbortSignal): Promise<Verdict> {
  signal?.throwIfAborted();
  return await withFile(path, cast, async (file) => {
    const verifier = new CastVerifier(chainHash);
    const slice = new Slice();
    // As long as it is now: one that is recorded may grow faster than it is read.
    for await (const piece of readPieces(file, 0, (await file.stat()).size)) {
      verifier.take(piece);
      signal?.throwIfAborted();
      if (slice.over) await slice.rest();
    }
    return verifier.end();
  });
}
