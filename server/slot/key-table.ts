// Idempotency keys of one lease: a second call with the same key joins the first or gets its result.
// What it remembers is bounded; the oldest results go first, and a call that still runs never does.
import { createHash } from 'node:crypto';
import { Fault } from '../../protocol/fault.ts';

/** Keys remembered; a client that retries does so within seconds, so the oldest may go. */
const MAX_KEYS = 10_000;
/** Characters of the results remembered: a full output of a few dozen commands. */
const MAX_CHARS = 32 * 1024 * 1024;

export interface KeyedCall {
  /** Without a key nothing is joined. */
  readonly key: string | undefined;
  readonly method: string;
  readonly params: object;
  /** Of this caller: it stops the call that it joined as well, since that is its own, sent twice. */
  readonly signal: AbortSignal;
}

/** A call by its key, with what tells whether another one with that key is the same. */
export interface Keyed {
  readonly key: string;
  readonly print: string;
}

interface Entry {
  readonly print: string;
  readonly result: Promise<unknown>;
  readonly abort: AbortController;
  /** 0 while it runs. */
  chars: number;
}

export class KeyTable {
  /** In the order of their calls. */
  readonly #entries = new Map<string, Entry>();
  /** What the calls of a gateway before this one were, by key: their results are found by who did the work. */
  readonly #former = new Map<string, string>();
  #chars = 0;

  /** Runs `work` once for the key. Method and params must be the same each time, else KEY_CONFLICT. A fault frees the key: nothing was done. */
  async once<T>(
    { key, method, params, signal }: KeyedCall,
    work: (signal: AbortSignal, keyed: Keyed | null) => Promise<T>,
  ): Promise<T> {
    if (key === undefined) return await work(signal, null);
    const print = createHash('sha256').update(stable({ method, params })).digest('base64');
    const known = this.#entries.get(key)?.print ?? this.#former.get(key);
    if (known !== undefined && known !== print) {
      throw new Fault(
        'KEY_CONFLICT',
        `The key ${JSON.stringify(key)} was used before with other params. Use a new key.`,
      );
    }
    const entry = this.#entries.get(key) ?? this.#begin({ key, print }, work);
    return (await abortedBy(signal, entry)) as T;
  }

  /** A key that was used under a gateway before this one. */
  remember({ key, print }: Keyed): void {
    this.#former.set(key, print);
  }

  #begin(keyed: Keyed, work: (signal: AbortSignal, keyed: Keyed) => Promise<unknown>): Entry {
    const { key, print } = keyed;
    const abort = new AbortController();
    const entry: Entry = { print, abort, result: work(abort.signal, keyed), chars: 0 };
    this.#entries.set(key, entry);
    entry.result.then(
      (result) => this.#remember(entry, result),
      () => this.#entries.delete(key),
    );
    return entry;
  }

  #remember(entry: Entry, result: unknown): void {
    entry.chars = weightOf(result);
    this.#chars += entry.chars;
    for (const [key, { chars }] of this.#entries) {
      if (this.#entries.size <= MAX_KEYS && this.#chars <= MAX_CHARS) return;
      if (chars === 0) continue;
      this.#entries.delete(key);
      this.#chars -= chars;
    }
  }
}

async function abortedBy(signal: AbortSignal, { abort, result }: Entry): Promise<unknown> {
  const stop = (): void => abort.abort();
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await result;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** About what a result takes in memory: its texts, and something for the rest. */
function weightOf(result: unknown): number {
  const values = result !== null && typeof result === 'object' ? Object.values(result) : [];
  return values.reduce((sum: number, value) => sum + (typeof value === 'string' ? value.length : 0), 256);
}

/** The same text for the same value whatever the order of its fields. */
function stable(value: unknown): string {
  return JSON.stringify(value, (_name, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
