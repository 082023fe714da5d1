// Idempotency keys of one lease: a second call with the same key joins the first or gets its result.
import { createHash } from 'node:crypto';
import { Fault } from '../../protocol/fault.ts';

/** Keys remembered; a client that retries does so within seconds, so the oldest may go. */
const MAX_KEYS = 10_000;

interface Entry {
  readonly fingerprint: string;
  readonly result: Promise<unknown>;
}

export class KeyTable {
  readonly #entries = new Map<string, Entry>();

  /** Runs `work` once for `key`. `method` and `params` must be the same each time, else KEY_CONFLICT. A fault frees the key: nothing was done. */
  once<T>(key: string | undefined, asked: { method: string; params: object }, work: () => Promise<T>): Promise<T> {
    if (key === undefined) return work();
    const fingerprint = createHash('sha256').update(stable(asked)).digest('base64');
    const known = this.#entries.get(key);
    if (known !== undefined) {
      if (known.fingerprint !== fingerprint) {
        throw new Fault(
          'KEY_CONFLICT',
          `The key ${JSON.stringify(key)} was used before with other params. Use a new key.`,
        );
      }
      return known.result as Promise<T>;
    }
    const result = work();
    this.#entries.set(key, { fingerprint, result });
    result.catch(() => this.#entries.delete(key));
    if (this.#entries.size > MAX_KEYS) {
      const oldest = this.#entries.keys().next();
      if (!oldest.done) this.#entries.delete(oldest.value);
    }
    return result;
  }
}

/** The same text for the same value whatever the order of its fields. */
function stable(value: unknown): string {
  return JSON.stringify(value, (_name, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
