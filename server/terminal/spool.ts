// The files that the gateway shows to the shell read-only: its rc, and for each run the script and what the terminal shows of it.
// The payload may read them and never write.
import { closeSync, fchmodSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { shellWord } from './shell-word.ts';

/** Readable for the slot's user, who may not be the gateway's, by way of a directory that other users can't enter; writable for the gateway alone. */
const MODE = 0o644;
/** Written at once, in a tenth of a millisecond; by way of the thread pool it takes ten times that, more than bash needs for the command. */
const SMALL_CHARS = 64 * 1024;

export interface RunFiles {
  /** Of its files. */
  readonly name: string;
  /** What its mark says of it. */
  readonly id: string;
  readonly command: string;
  /** What the terminal shows of it. */
  readonly show: string;
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
  removeRc(): void {
    this.#remove('rc');
  }

  async writeRun({ name, id, command, show, status }: RunFiles): Promise<void> {
    const values = [`id=${id}`, `show=${shellWord(show)}`, ...(status === null ? [] : [`status=${status}`])];
    await Promise.all([
      this.#write(name, command.endsWith('\n') ? command : `${command}\n`),
      this.#write(`${name}.show`, `${values.join(' ')}\n`),
    ]);
  }

  removeRun(name: string): void {
    this.#remove(name);
    this.#remove(`${name}.show`);
  }

  /** The same, also when its directory has gone with the slot. */
  forgetRun(name: string): void {
    try {
      this.removeRun(name);
    } catch {
      // What stays goes with the slot.
    }
  }

  async #write(name: string, text: string): Promise<void> {
    const path = join(this.#hostDirectory, name);
    try {
      await write(path, text);
    } catch (error) {
      // On a full disk: the half of an rc has the nonce too.
      this.#remove(name);
      throw error;
    }
  }

  #remove(name: string): void {
    try {
      unlinkSync(join(this.#hostDirectory, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
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
