// A descriptor that holds on to one file or directory, whatever its name leads to by now.
// Names below it are opened through /proc/self/fd, so that no name is ever resolved twice. Linux only.
import fs, { type Dirent } from 'node:fs';
import { opendir, readdir } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { FileEntry } from '../../protocol/file.ts';

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_NOCTTY } = fs.constants;
/** Of asm-generic/fcntl.h, the same on x86_64 and aarch64: names the inode without opening it, so nothing can block or be set off. */
const O_PATH = 0o10000000;

export const ENTER = O_PATH | O_DIRECTORY | O_NOFOLLOW;
export const LOOK = O_PATH | O_NOFOLLOW;
/** Without O_NONBLOCK a FIFO or a lease of the payload would hold a thread for as long as it likes; four stop all file calls. */
export const READ = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
/** For what a pin holds already: its own /proc entry is a link, and the only one that is followed. */
export const READ_PINNED = O_RDONLY | O_NONBLOCK | O_NOCTTY;

// The plain calls behind promises: a FileHandle costs a third more, and a walk opens many.
export const open = promisify(fs.open);
export const read = promisify(fs.read);
export const write = promisify(fs.write);

/** Close it only when no call on its path is in flight: the thread pool resolves the number later, when it may be another file's. */
export class Pin {
  readonly #fd: number;
  #held = true;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** @throws once it was closed: the number may belong to another file by then */
  get fd(): number {
    if (!this.#held) throw new Error('a pin was used after its end');
    return this.#fd;
  }

  get path(): string {
    return `/proc/self/fd/${this.fd}`;
  }

  /** A name in this directory, for one call of node:fs that does not follow links. */
  at(name: string): string {
    return `${this.path}/${name}`;
  }

  /** The same for a name as bytes in a latin1 string, since a name need not be UTF-8. */
  atBytes(name: string): Buffer {
    return Buffer.from(this.at(name), 'latin1');
  }

  stat(): fs.Stats {
    return fs.fstatSync(this.fd);
  }

  /** Inode and device as one text, exact where a number would round. */
  identity(): string {
    const { dev, ino } = fs.fstatSync(this.fd, { bigint: true });
    return `${dev}:${ino}`;
  }

  /** Hands the descriptor to somebody who closes it. */
  release(): number {
    const fd = this.fd;
    this.#held = false;
    return fd;
  }

  /** At once, for what is small. */
  closeNow(): void {
    if (this.#held) fs.closeSync(this.release());
  }

  /** In the background: the last close of a deleted giant frees its blocks, and that takes long. */
  close(): void {
    if (this.#held) fs.close(this.release(), ignore);
  }
}

/** A directory that says it is no larger has some thousand names at most: one trip to the thread pool instead of four. */
const READ_AT_ONCE_BYTES = 64 * 1024;
/** Names that one trip brings from a larger one, which may have millions. */
const NAMES_PER_READ = 256;

/** What a pinned directory contains, names as bytes in latin1 strings: names on Linux need not be UTF-8, and must come back as they were. */
export async function entriesOf(dir: Pin): Promise<Iterable<Dirent> | AsyncIterable<Dirent>> {
  if (dir.stat().size <= READ_AT_ONCE_BYTES) return readdir(dir.path, { encoding: 'latin1', withFileTypes: true });
  return opendir(dir.path, { encoding: 'latin1', bufferSize: NAMES_PER_READ });
}

interface Kinded {
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
}

export function kindOf(found: Kinded): FileEntry['kind'] {
  if (found.isFile()) return 'file';
  if (found.isDirectory()) return 'dir';
  return found.isSymbolicLink() ? 'symlink' : 'other';
}

function ignore(): void {}
