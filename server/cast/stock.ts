// The files of recordings as a whole: what each holds on the disk, which are pinned, and their removal.
// It never removes one that is recorded, pinned or without its seal; nothing else removes any.
import { lstat, readdir, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { castId } from '../../protocol/cast.ts';
import { createFile } from '../atomic-file.ts';
import type { ShelfOptions } from './index-cache.ts';
import { inParallel } from './parallel.ts';
import { noSuchCast } from './recording.ts';
import type { StoredCast } from './retention.ts';
import { type Summary, startOf } from './summary.ts';

/** Behind the name of a cast: an empty file, which says that it is to be kept. */
export const PIN = '.pin';
/** A recording, what was learned from it, and the copy of it as a crash left it. */
const FILE = /^(cast_[0-9a-z_-]{1,80})\.(?:cast|digest|screens|pin|cast\.damaged)$/;

export interface StockOptions extends ShelfOptions {
  readonly summary: (cast: string) => Promise<Summary | null>;
  /** It is gone: nothing that was learned from it is worth keeping. */
  readonly forget: (cast: string) => Promise<void>;
}

export class Stock {
  readonly #options: StockOptions;
  /** Pins and removals one after the other: what was pinned with success is not removed. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: StockOptions) {
    this.#options = options;
  }

  /** All that there are, with what is kept beside them. */
  async list(): Promise<StoredCast[]> {
    const { dir } = this.#options;
    const bytes = new Map<string, number>();
    await inParallel(await readdir(dir).catch(() => []), async (name) => {
      const cast = FILE.exec(name)?.[1];
      if (cast === undefined) return;
      const size = await sizeOf(join(dir, name));
      bytes.set(cast, (bytes.get(cast) ?? 0) + size);
    });
    const stored: StoredCast[] = [];
    await inParallel([...bytes], async ([cast, size]) => {
      stored.push({ cast, bytes: size, endedAt: await this.#endOf(cast) });
    });
    return stored;
  }

  async isPinned(cast: string): Promise<boolean> {
    return await exists(this.#path(cast, PIN));
  }

  /** Faults: CAST_NOT_FOUND. */
  async pin(cast: string, pinned: boolean): Promise<void> {
    if (!castId.safeParse(cast).success) throw noSuchCast(cast);
    await this.#inTurn(async () => {
      if (!(await exists(this.#path(cast, '.cast')))) throw noSuchCast(cast);
      const pin = this.#path(cast, PIN);
      if (pinned) await createFile(pin, '');
      else await rm(pin, { force: true });
    });
  }

  /** With what is kept beside it; who reads it now reads it to its end. false when it is to be kept, or is gone. */
  async remove(cast: string): Promise<boolean> {
    return await this.#inTurn(async () => {
      if ((await this.#endOf(cast)) === null) return false;
      await rm(this.#path(cast, '.cast.damaged'), { force: true });
      const isGone = await unlink(this.#path(cast, '.cast')).then(() => true, falseIfGone);
      await this.#options.forget(cast);
      return isGone;
    });
  }

  /** When it ended, in ms since 1970; null when it is not to be removed. */
  async #endOf(cast: string): Promise<number | null> {
    const { live, summary } = this.#options;
    if (live(cast) !== null || (await this.isPinned(cast))) return null;
    const found = await summary(cast).catch(() => null);
    return found === null || found.seal === null ? null : startOf(found) + found.seal.duration * 1000;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  #path(cast: string, ending: string): string {
    return join(this.#options.dir, `${castId.parse(cast)}${ending}`);
  }
}

const exists = (path: string): Promise<boolean> => lstat(path).then((found) => found.isFile(), falseIfGone);

const sizeOf = (path: string): Promise<number> =>
  lstat(path).then(
    (found) => found.size,
    () => 0,
  );

function falseIfGone(error: NodeJS.ErrnoException): false {
  if (error.code === 'ENOENT') return false;
  throw error;
}
