// Feeds an archiver one entry after another, and no faster than its reader takes them. Must never hold more than a window of entries.
import type { Readable, Writable } from 'node:stream';
import type { Archiver } from 'archiver';
import { Fault } from '../../protocol/fault.ts';
import { entryName } from './entry-name.ts';
import type { Parcel } from './parcel.ts';

/** Buffered and not yet written out; what is more waits on the disk. */
const WINDOW_BYTES = 1024 * 1024;
const WINDOW_ENTRIES = 64;
/** What every archive format can hold: 1980, where zip begins, to 2038, where tar's usual readers end. A payload can set any time. */
const DATES = { min: Date.UTC(1980, 0, 1), max: 2 ** 31 * 1000 - 1000 };
const DIRECTORY_MODE = 0o755;
const EXECUTABLE_MODE = 0o755;
const FILE_MODE = 0o644;
const ANY_EXECUTE_BIT = 0o111;

export class Feed {
  readonly #archive: Archiver;
  /** Content of the entries that the archiver has not written yet, in order. */
  readonly #waiting: number[] = [];
  #waitingBytes = 0;
  #streaming: Readable | null = null;
  #ended = false;
  #wake: (() => void) | null = null;

  /** `output` gets what the archiver writes; when it closes, nobody reads any more. */
  constructor(archive: Archiver, output: Writable) {
    this.#archive = archive;
    archive.on('entry', () => {
      this.#waitingBytes -= this.#waiting.shift() ?? 0;
      this.#wake?.();
    });
    output.on('close', () => {
      this.#ended = true;
      this.#streaming?.destroy();
      this.#wake?.();
    });
  }

  /** `path` as bytes in a latin1 string. @throws CANCELLED when nobody reads any more */
  async directory(path: string, mtimeMs: number): Promise<void> {
    await this.#room(0);
    const name = `${entryName(path)}/`;
    this.#archive.append('', { name, type: 'directory', mode: DIRECTORY_MODE, date: dateOf(mtimeMs) });
  }

  /** The parcel belongs to the feed from here on. @throws CANCELLED when nobody reads any more */
  async file(path: string, { stat, size, content }: Parcel): Promise<void> {
    const buffered = Buffer.isBuffer(content);
    try {
      await this.#room(buffered ? size : WINDOW_BYTES);
    } catch (error) {
      if (!buffered) content.destroy();
      throw error;
    }
    const mode = stat.mode & ANY_EXECUTE_BIT ? EXECUTABLE_MODE : FILE_MODE;
    // tar needs `stats` for the size of a stream; mode and date of ours go before those in it, owners are never taken from it.
    this.#archive.append(content, { name: entryName(path), mode, date: dateOf(stat.mtimeMs), stats: stat });
    if (buffered) return;
    this.#streaming = content;
    await this.#until(() => this.#waiting.length === 0);
    this.#streaming = null;
  }

  /** No more entries come. Not awaited: the promise of finalize() never settles when nobody reads on. */
  async finish(): Promise<void> {
    await this.#until(() => this.#waiting.length === 0);
    this.#archive.finalize().catch(() => undefined);
  }

  async #room(bytes: number): Promise<void> {
    await this.#until(
      () =>
        this.#waiting.length === 0 ||
        (this.#waiting.length < WINDOW_ENTRIES && this.#waitingBytes + bytes <= WINDOW_BYTES),
    );
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes;
  }

  async #until(done: () => boolean): Promise<void> {
    while (!this.#ended && !done()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#ended) throw new Fault('CANCELLED', 'The archive was not read to its end.');
  }
}

function dateOf(mtimeMs: number): Date {
  return new Date(Math.min(DATES.max, Math.max(DATES.min, Math.trunc(mtimeMs))));
}
