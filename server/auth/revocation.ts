// Tokens that were taken back before their time. A token that is on the list opens nothing, also what it has opened already.
import { z } from 'zod';
import { Fault } from '../../protocol/fault.ts';
import { readSecret, writeSecret } from './secret-file.ts';

const revokedFile = z.object({
  version: z.literal(1),
  revoked: z.array(z.object({ id: z.string(), untilMs: z.number().nullable() })),
});

export interface RevocationOptions {
  readonly path: string;
  /** Wall clock, ms since 1970. */
  readonly now: () => number;
  /** Monotonic ms. */
  readonly elapsed: () => number;
}

interface Revoked {
  /** When the token would have ended by itself, in ms since 1970; null = never. */
  readonly untilMs: number | null;
  /** The same in monotonic ms, by which it is forgotten: a clock that is set must not let it in again. */
  readonly endMs: number;
}

export class Revocations {
  readonly #options: RevocationOptions;
  /** By name of the token. */
  readonly #revoked: Map<string, Revoked>;
  readonly #listeners = new Set<(id: string) => void>();
  #saved: Promise<void> = Promise.resolve();
  /** The file lacks some of them. */
  #isBehind = false;

  private constructor(options: RevocationOptions, revoked: Map<string, Revoked>) {
    this.#options = options;
    this.#revoked = revoked;
  }

  /** Reads the list; throws when it is there but can't be understood, since an empty one would let revoked tokens in. */
  static async open(options: RevocationOptions): Promise<Revocations> {
    const content = await readSecret(options.path);
    if (content === null) return new Revocations(options, new Map());
    const { revoked } = parseFile(content.toString('utf8'));
    const { now, elapsed } = options;
    const endOf = (untilMs: number | null): number =>
      untilMs === null ? Number.POSITIVE_INFINITY : elapsed() + untilMs - now();
    return new Revocations(
      options,
      new Map(revoked.map(({ id, untilMs }) => [id, { untilMs, endMs: endOf(untilMs) }] as const)),
    );
  }

  has(id: string): boolean {
    return this.#revoked.has(id);
  }

  /**
   * Takes effect at once; resolves when it is on disk. `leftMs`: how long the token would still have lived. Faults: NO_SPACE, then it takes effect
   * all the same, but a restart would not know of it.
   */
  async add(
    { id, untilMs }: { readonly id: string; readonly untilMs: number | null },
    leftMs = Number.POSITIVE_INFINITY,
  ): Promise<void> {
    this.#revoked.set(id, { untilMs, endMs: this.#options.elapsed() + leftMs });
    for (const listener of this.#listeners) listener(id);
    const write = (): Promise<void> => this.#write();
    this.#saved = this.#saved.then(write, write);
    await this.#saved.catch(asNoSpace);
  }

  /** Calls with the name of every token that is revoked from now on. */
  listen(listener: (id: string) => void): { close(): void } {
    this.#listeners.add(listener);
    return { close: () => void this.#listeners.delete(listener) };
  }

  /** Resolves when nothing is written any more. What did not fit on the disk is tried once more. */
  async close(): Promise<void> {
    await this.#saved.catch(() => {});
    if (this.#isBehind) await this.#write().catch(() => {});
  }

  async #write(): Promise<void> {
    const elapsedMs = this.#options.elapsed();
    for (const [id, { endMs }] of this.#revoked) {
      if (endMs < elapsedMs) this.#revoked.delete(id);
    }
    const revoked = [...this.#revoked].map(([id, { untilMs }]) => ({ id, untilMs }));
    this.#isBehind = true;
    await writeSecret(this.#options.path, `${JSON.stringify({ version: 1, revoked })}\n`);
    this.#isBehind = false;
  }
}

function asNoSpace(error: unknown): never {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  if (code !== 'ENOSPC' && code !== 'EDQUOT') throw error;
  throw new Fault(
    'NO_SPACE',
    'The token is refused from now on, but the disk is full: a restart would let it in again. Free space, and revoke it once more.',
  );
}

function parseFile(text: string): z.output<typeof revokedFile> {
  try {
    return revokedFile.parse(JSON.parse(text));
  } catch {
    throw new Error('revoked.json in the data directory is damaged. Restore it, or remove it and secret.key together.');
  }
}
