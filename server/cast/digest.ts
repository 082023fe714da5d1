// What lists and searches need of the commands of a sealed cast, kept beside it as NAME.digest so that no cast is parsed twice.
// It believes no file that doesn't fit its cast, and never fails because one can't be written.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readSidecar, writeSidecar } from './sidecar.ts';
import { MAX_TEXT_CHARS } from './tally.ts';

/** Behind the name of a cast. */
export const DIGEST = '.digest';
/** Each of the text's characters has at most three bytes, and room for the rest. */
const MAX_FILE_BYTES = 3 * MAX_TEXT_CHARS + 64 * 1024;
/** Texts held in memory: five thousand casts of some hundred different commands. What doesn't fit is read again for each search. */
const MAX_HELD_CHARS = 64 * 1024 * 1024;

export interface Digest {
  /** Commands that ended otherwise than by exit code 0. */
  readonly failed: number;
  /** The commands in small letters, a line each. */
  readonly text: string;
}

const file = z.strictObject({
  version: z.literal(1),
  /** Of the cast: a sealed one doesn't change. */
  bytes: z.int(),
  failed: z.int().min(0),
  text: z.string().max(MAX_TEXT_CHARS),
});

export interface DigestOptions {
  readonly dir: string;
  /** Reads the whole cast. */
  readonly make: (cast: string) => Promise<Digest>;
}

export class Digests {
  readonly #options: DigestOptions;
  /** The text is null when it did not fit. */
  readonly #held = new Map<string, { readonly failed: number; readonly text: string | null }>();
  #heldChars = 0;
  /** On their way: a second caller waits for the same. */
  readonly #coming = new Map<string, Promise<Digest>>();
  #closed = false;

  constructor(options: DigestOptions) {
    this.#options = options;
  }

  /** `bytes`: of the sealed cast. Rejects as `make` does. */
  async failed(cast: string, bytes: number): Promise<number> {
    return this.#held.get(cast)?.failed ?? (await this.#load(cast, bytes)).failed;
  }

  /** The commands of a cast when they are at hand. */
  heldText(cast: string): string | null {
    return this.#held.get(cast)?.text ?? null;
  }

  /** The commands of a cast. Rejects as `make` does. */
  async text(cast: string, bytes: number): Promise<string> {
    return this.heldText(cast) ?? (await this.#load(cast, bytes)).text;
  }

  /** The cast is gone. */
  forget(cast: string): void {
    this.#heldChars -= this.heldText(cast)?.length ?? 0;
    this.#held.delete(cast);
  }

  /** Removes a file whose cast is gone. */
  async drop(cast: string): Promise<void> {
    if (!this.#closed) await rm(this.#path(cast), { force: true }).catch(() => undefined);
  }

  /** Resolves when nothing is written any more. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#coming.values());
  }

  async #load(cast: string, bytes: number): Promise<Digest> {
    const known = this.#coming.get(cast);
    if (known !== undefined) return await known;
    const coming = this.#readOrMake(cast, bytes);
    this.#coming.set(cast, coming);
    try {
      return await coming;
    } finally {
      this.#coming.delete(cast);
    }
  }

  async #readOrMake(cast: string, bytes: number): Promise<Digest> {
    let digest = await this.#read(cast, bytes);
    if (digest === null) {
      digest = await this.#options.make(cast);
      await this.#write(cast, bytes, digest).catch(() => undefined);
    }
    this.#hold(cast, digest);
    return digest;
  }

  #hold(cast: string, { failed, text }: Digest): void {
    this.forget(cast);
    const fits = this.#heldChars + text.length <= MAX_HELD_CHARS;
    this.#held.set(cast, { failed, text: fits ? text : null });
    if (fits) this.#heldChars += text.length;
  }

  /** null when there is none that fits the cast. */
  async #read(cast: string, bytes: number): Promise<Digest | null> {
    const found = file.safeParse(await readSidecar(this.#path(cast), MAX_FILE_BYTES));
    return found.success && found.data.bytes === bytes ? found.data : null;
  }

  /** Whole or not at all. */
  async #write(cast: string, bytes: number, { failed, text }: Digest): Promise<void> {
    if (this.#closed) return;
    await writeSidecar(this.#path(cast), { version: 1, bytes, failed, text });
  }

  #path(cast: string): string {
    return join(this.#options.dir, `${cast}${DIGEST}`);
  }
}
