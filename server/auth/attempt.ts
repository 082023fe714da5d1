// Wrong credentials, counted by address: who guesses is held back, who has shown a right one is not.
import { createHash } from 'node:crypto';
import { Bucket } from './bucket.ts';

/** A person mistypes a few times, a program with an old token retries; a guesser needs 2^128 tries. */
const FAILURES = { size: 20, perSecond: 1 } as const;
/** Addresses that are remembered: about 1 MB. */
const MAX_ADDRESSES = 10_000;
/** Credentials that are remembered as right. */
const MAX_KNOWN = 10_000;

export class Attempts {
  readonly #now: () => number;
  readonly #failures = new Map<string, Bucket>();
  readonly #known = new Set<string>();

  /** `now` in monotonic ms. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** How long this address has to wait before the credential is looked at; 0 = not at all. */
  waitMs(address: string, token: string): number {
    const bucket = this.#failures.get(address);
    if (bucket === undefined || this.#known.has(digest(token))) return 0;
    return bucket.waitMs(this.#now());
  }

  /** Counts a credential as wrong before it is looked at, so that many at once count like one after the other. */
  begin(address: string): { succeeded(token: string): void } {
    const bucket = this.#failures.get(address) ?? new Bucket(FAILURES, this.#now());
    const isCounted = bucket.take(this.#now());
    // Set anew, so that the address that tried last is forgotten last.
    this.#failures.delete(address);
    this.#failures.set(address, bucket);
    dropOldest(this.#failures, MAX_ADDRESSES);
    return {
      succeeded: (token) => {
        if (isCounted) bucket.give();
        this.#known.add(digest(token));
        dropOldest(this.#known, MAX_KNOWN);
      },
    };
  }
}

const digest = (token: string): string => createHash('sha256').update(token).digest('base64');

function dropOldest(collection: Set<string> | Map<string, unknown>, max: number): void {
  const [oldest] = collection.keys();
  if (collection.size > max && oldest !== undefined) collection.delete(oldest);
}
