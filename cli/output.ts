// Writing to stdout or stderr at the speed of whoever reads it. A reader who has gone is no error, but an end.
import { once } from 'node:events';

export class OutputStream {
  readonly #stream: NodeJS.WriteStream;
  #isGone = false;

  /** `gone` is called once when nobody reads any more. */
  constructor(stream: NodeJS.WriteStream, gone: () => void) {
    this.#stream = stream;
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      if (this.#isGone) return;
      this.#isGone = true;
      gone();
    });
  }

  /** Resolves when there is room for more; at once when nobody reads. */
  async write(data: string | Uint8Array): Promise<void> {
    if (this.#isGone || this.#stream.write(data)) return;
    // An error ends the waiting as well; the listener above deals with it.
    await once(this.#stream, 'drain').catch(() => {});
  }
}

/** For commands that only print: when nobody reads any more, that is all. */
export function endQuietlyWithoutReader(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      process.exit(0);
    });
  }
}
