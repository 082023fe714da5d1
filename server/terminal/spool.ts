// The files that the gateway shows to the shell read-only: its rc, and for each run the script and what the terminal shows of it.
// The payload may read them and never write.
import { closeSync, fchmodSync, openSync, writeSync } from 'node:fs';
import { open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { displayText } from './display.ts';

/** Readable for the slot's user, who may not be the gateway's, by way of a directory that other users can't enter; writable for the gateway alone. */
const MODE = 0o644;
/** Written at once, in a tenth of a millisecond; by way of the thread pool it takes ten times that, more than bash needs for the command. */
const SMALL_CHARS = 64 * 1024;

export interface RunFiles {
  readonly id: string;
  readonly command: string;
  readonly cols: number;
  /** Characters of the line that is typed. */
  readonly typed: number;
  /** What $? has to be for the command; null leaves it as the shell has it. */
  readonly status: number | null;
}

export class Spool {
  readonly #hostDirectory: string;

  constructor(hostDirectory: string) {
    this.#hostDirectory = hostDirectory;
  }

  async writeRc(text: string): Promise<void> {
    await this.#write('rc', text);
  }

  /** The rc holds the nonce: it is there only while the shell reads it. */
  async removeRc(): Promise<void> {
    await this.#remove('rc');
  }

  async writeRun(run: RunFiles): Promise<void> {
    const header = `${run.cols} ${run.typed} ${run.status ?? '-'}`;
    await Promise.all([
      this.#write(run.id, run.command.endsWith('\n') ? run.command : `${run.command}\n`),
      this.#write(`${run.id}.show`, `${header}\n${displayText(run.command)}\n`),
    ]);
  }

  async removeRun(id: string): Promise<void> {
    await Promise.all([this.#remove(id), this.#remove(`${id}.show`)]);
  }

  async #write(name: string, text: string): Promise<void> {
    const path = join(this.#hostDirectory, name);
    try {
      await write(path, text);
    } catch (error) {
      // On a full disk: the half of an rc has the nonce too.
      await this.#remove(name);
      throw error;
    }
  }

  async #remove(name: string): Promise<void> {
    await unlink(join(this.#hostDirectory, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }
}

// The umask of the gateway may have taken away what the slot's user needs: hence the chmod.
async function write(path: string, text: string): Promise<void> {
  if (text.length <= SMALL_CHARS) {
    writeSmall(path, text);
    return;
  }
  const file = await open(path, 'w', MODE);
  try {
    await file.chmod(MODE);
    await file.writeFile(text);
  } finally {
    await file.close();
  }
}

function writeSmall(path: string, text: string): void {
  const file = openSync(path, 'w', MODE);
  try {
    fchmodSync(file, MODE);
    const bytes = Buffer.from(text);
    for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
  } finally {
    closeSync(file);
  }
}
