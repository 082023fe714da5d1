// Recordings of a keeper that died, which the disk was too full to end: tried again when something could be written. It touches none that is recorded.
import { recoverCast } from './recovery.ts';

export interface UnsealedOptions {
  readonly isCommand: (label: string) => boolean;
  readonly failed: (error: unknown, path: string) => void;
}

export class Unsealed {
  readonly #options: UnsealedOptions;
  readonly #paths = new Set<string>();
  #sealing: Promise<void> | null = null;

  constructor(options: UnsealedOptions) {
    this.#options = options;
  }

  /** Of one that could not be ended: only for want of room will it be tried again. */
  note(error: unknown, path: string): void {
    const { code } = (error ?? {}) as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'EDQUOT') this.#paths.add(path);
  }

  /** To be called when there is room. Never rejects. */
  seal(): Promise<void> {
    this.#sealing ??= this.#seal().finally(() => {
      this.#sealing = null;
    });
    return this.#sealing;
  }

  async #seal(): Promise<void> {
    const { isCommand, failed } = this.#options;
    for (const path of [...this.#paths]) {
      try {
        await recoverCast(path, { isCommand });
        this.#paths.delete(path);
      } catch (error) {
        this.#paths.delete(path);
        this.note(error, path);
        failed(error, path);
      }
    }
  }
}
