// The file of one recording, which grows by whole lines only. What could not be written whole leaves no trace in it.
import { type FileHandle, open } from 'node:fs/promises';

/** Only the gateway's own user reads recordings: they hold whatever an agent printed. */
const FILE_MODE = 0o600;

export class CastFile {
  readonly #handle: FileHandle;
  /** Bytes up to the end of the last whole line. */
  #size: number;
  /** A torn line may stand behind #size: cut it off before anything is written. */
  #torn = false;

  private constructor(handle: FileHandle, size: number) {
    this.#handle = handle;
    this.#size = size;
  }

  /** Rejects when the file is there already. */
  static async create(path: string): Promise<CastFile> {
    return new CastFile(await open(path, 'wx', FILE_MODE), 0);
  }

  /** Goes on behind the first `size` bytes; the rest of the file is cut off. */
  static async goOn(path: string, size: number): Promise<CastFile> {
    const file = new CastFile(await open(path, 'r+'), size);
    file.#torn = true;
    return file;
  }

  get size(): number {
    return this.#size;
  }

  /** Adds whole lines; when it rejects, none of them is in the file. Not to be called before the last one has settled. */
  async append(lines: string | Buffer): Promise<void> {
    const bytes = typeof lines === 'string' ? Buffer.from(lines) : lines;
    await this.#mend();
    this.#torn = true;
    for (let written = 0; written < bytes.length; ) {
      const { bytesWritten } = await this.#handle.write(bytes, written, bytes.length - written, this.#size + written);
      written += bytesWritten;
    }
    this.#size += bytes.length;
    this.#torn = false;
  }

  /** Resolves when the disk has it, and closes. */
  async close(): Promise<void> {
    try {
      await this.#mend();
      await this.#handle.sync();
    } finally {
      await this.#handle.close();
    }
  }

  async #mend(): Promise<void> {
    if (!this.#torn) return;
    await this.#handle.truncate(this.#size);
    this.#torn = false;
  }
}
