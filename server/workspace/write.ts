// Writes files whole or not at all: into a draft on the same file system, then one rename.
// Must never open what is there for writing, and never leave its own file behind.
import { createHash, type Hash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { lstat, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Fault } from '../../protocol/fault.ts';
import { MAX_INLINE_BYTES } from '../../protocol/file.ts';
import { type Door, type Owner, openFile, type Slip } from './door.ts';
import { joinPath, parsePath, quote } from './path.ts';
import { kindOf, open, Pin, write } from './pin.ts';
import { hashOf, MAX_HASHED_BYTES } from './read.ts';
import { errorCode, refusal } from './refusal.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = fs.constants;
const fchown = promisify(fs.fchown);
const fchmod = promisify(fs.fchmod);

const FILE_MODE = 0o644;
/** Permission bits that a replaced file hands on; set-id bits are none of them. */
const KEPT_MODE = 0o777;
/** One hash update of this takes about 1 ms, so the event loop breathes between two. */
const SLICE_BYTES = 1024 * 1024;
/** 96 bits: a payload cannot be there first. */
const NAME_BYTES = 12;

interface WriteTerms {
  /** Permission bits; else those of the file that is replaced, 0644 for a new one. */
  readonly mode?: number | undefined;
  /** Writes only over a file with this content. */
  readonly expectedSha256?: string | undefined;
}

export interface WriteOrder extends WriteTerms {
  readonly path: string;
  readonly data: string | Uint8Array;
  /** Of `data` when it is a string. */
  readonly encoding?: 'utf8' | 'base64';
}

export interface StreamTerms extends WriteTerms {
  readonly maxBytes: number;
  /** As announced: what is too large is refused before its first byte. */
  readonly size?: number | undefined;
}

export interface Written {
  readonly bytes: number;
  readonly sha256: string;
}

/** What may be added to the workspace. Its calls may throw NO_SPACE. */
export interface Space {
  /** Bytes; looked for with care where fewer than are wanted. */
  left(wantedBytes: number): Promise<number>;
  /** Counts what is written; less than nothing is given back. */
  taken(bytes: number, files: number): void;
}

/** Where nobody counts. */
export const ENDLESS: Space = { left: async () => Number.POSITIVE_INFINITY, taken: () => {} };

/** A new content: where it comes from, and what it may be. */
interface Draft extends StreamTerms {
  readonly source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

export interface WriterParts {
  readonly owner: Owner | null;
  readonly space: Space;
  /** Where drafts lie, out of sight; without it, and for another file system, beside the file. */
  readonly drafts: string | null;
}

export class Writer {
  readonly #door: Door;
  readonly #owner: Owner | null;
  readonly #space: Space;
  readonly #drafts: string | null;
  /** Check and rename of one write after another, so that of two with the same expectedSha256 one loses. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(door: Door, { owner, space, drafts }: WriterParts) {
    this.#drafts = drafts;
    this.#door = door;
    this.#owner = owner;
    this.#space = space;
  }

  /** Removes what a gateway that was killed has left. Called before anything is written. */
  sweep(): void {
    if (this.#drafts === null) return;
    for (const name of fs.readdirSync(this.#drafts)) fs.rmSync(join(this.#drafts, name), { force: true });
  }

  /**
   * As file.write. Programs of the slot do not queue here: one that writes between the check of expectedSha256 and the rename loses its write.
   * @throws INVALID_PARAMS, PATH_OUTSIDE, WRONG_FILE_KIND, HASH_MISMATCH, NO_SPACE, TOO_LARGE
   */
  async write({ path, data, encoding = 'utf8', ...terms }: WriteOrder): Promise<Written> {
    const bytes = typeof data === 'string' ? decode(data, encoding) : data;
    return this.#put(path, { ...terms, source: slices(bytes), maxBytes: MAX_INLINE_BYTES });
  }

  /** The same from a stream. When it fails or ends early (the client hung up), nothing was changed: CANCELLED. */
  async writeStream(path: string, source: AsyncIterable<Uint8Array>, terms: StreamTerms): Promise<Written> {
    return this.#put(path, { ...terms, source: faithful(source) });
  }

  async #put(text: string, draft: Draft): Promise<Written> {
    const path = parsePath(text);
    const shown = joinPath(path.names);
    const name = path.names.at(-1);
    if (name === undefined || path.directory) {
      throw new Fault('WRONG_FILE_KIND', `${quote(text)} names a directory; a file cannot be written there.`);
    }
    if ((draft.size ?? 0) > draft.maxBytes) throw tooLarge(draft.maxBytes);
    const { size = 0 } = draft;
    if ((await this.#space.left(size)) < size) throw full();
    const { dir, missing } = await this.#door.reach({ names: path.names.slice(0, -1), directory: true });
    try {
      if (missing.length === 0) await modeToKeep({ dir, name, path: shown });
      const written = await this.#fillAndCommit({ dir, name, path: shown }, missing, draft);
      this.#space.taken(0, 1);
      return written;
    } catch (error) {
      throw refusal(error, shown);
    } finally {
      dir.close();
    }
  }

  /** Parents that are missing are made last, so that a write that fails leaves none. */
  async #fillAndCommit(slip: Slip, missing: readonly string[], draft: Draft): Promise<Written> {
    const temp = await TempFile.create(slip.dir, this.#drafts);
    try {
      const written = await temp.fill(draft, this.#space);
      await this.#inTurn(async () => {
        if (missing.length > 0 && draft.expectedSha256 !== undefined) throw mismatch(slip.path, 'there is no file');
        const dir = await this.#door.make(slip.dir, missing, slip.path);
        try {
          await this.#commit(temp, { ...slip, dir }, draft);
        } finally {
          if (dir !== slip.dir) dir.close();
        }
      });
      return written;
    } finally {
      await temp.discard();
    }
  }

  async #commit(temp: TempFile, target: Slip, draft: Draft): Promise<void> {
    const kept = await modeToKeep(target);
    if (draft.expectedSha256 !== undefined) await expectContent(target, draft.expectedSha256);
    await temp.moveTo(target, { mode: draft.mode ?? kept ?? FILE_MODE, owner: this.#owner });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

/** Belongs to the gateway and is readable by nobody else until the moment of its rename. */
class TempFile {
  readonly #path: () => string;
  readonly #pin: Pin;
  #there = true;

  private constructor(path: () => string, pin: Pin) {
    this.#path = path;
    this.#pin = pin;
  }

  static async create(dir: Pin, drafts: string | null): Promise<TempFile> {
    const name = `.${randomBytes(NAME_BYTES).toString('hex')}.tmp`;
    const isNear = drafts !== null && fs.statSync(drafts).dev === dir.stat().dev;
    // A pin names its place anew for each call.
    const path = isNear ? () => join(drafts, name) : () => dir.at(name);
    return new TempFile(path, new Pin(await open(path(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)));
  }

  /** Each piece is counted before it is written, so that many writes at once have no more room than one. What failed is given back. */
  async fill(draft: Draft, space: Space): Promise<Written> {
    let taken = 0;
    const take = async (bytes: number): Promise<void> => {
      if ((await space.left(bytes)) < bytes) throw full();
      space.taken(bytes, 0);
      taken += bytes;
    };
    try {
      return await this.#fill(draft, take);
    } catch (error) {
      space.taken(-taken, 0);
      throw error;
    }
  }

  async #fill({ source, maxBytes }: Draft, take: (bytes: number) => Promise<void>): Promise<Written> {
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of source) {
      if (bytes + chunk.length > maxBytes) throw tooLarge(maxBytes);
      await take(chunk.length);
      await this.#append(chunk, bytes, hash);
      bytes += chunk.length;
    }
    return { bytes, sha256: hash.digest('hex') };
  }

  async #append(chunk: Uint8Array, position: number, hash: Hash): Promise<void> {
    hash.update(chunk);
    for (let done = 0; done < chunk.length; ) {
      const { bytesWritten } = await write(this.#pin.fd, chunk, done, chunk.length - done, position + done);
      done += bytesWritten;
    }
  }

  async moveTo(target: Slip, { mode, owner }: { readonly mode: number; readonly owner: Owner | null }): Promise<void> {
    if (owner) await fchown(this.#pin.fd, owner.uid, owner.gid);
    await fchmod(this.#pin.fd, mode);
    await rename(this.#path(), target.dir.at(target.name));
    this.#there = false;
  }

  async discard(): Promise<void> {
    this.#pin.close();
    if (this.#there) await unlink(this.#path()).catch(() => undefined);
  }
}

/** Permission bits of the file to be replaced, null when there is none. The rename is the judge; this gives the better message. */
async function modeToKeep({ dir, name, path }: Slip): Promise<number | null> {
  const found = await lstat(dir.at(name)).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  });
  if (found === null) return null;
  const kind = kindOf(found);
  if (kind === 'file') return found.mode & KEPT_MODE;
  const what = { dir: 'a directory', symlink: 'a symbolic link', other: 'a FIFO, socket or device' }[kind];
  throw new Fault(
    'WRONG_FILE_KIND',
    `${quote(path)} is ${what}, and only a regular file is replaced. Remove it first.`,
  );
}

async function expectContent(target: Slip, expected: string): Promise<void> {
  const file = await openFile(target).catch((error: unknown) => {
    throw error instanceof Fault && error.fault === 'FILE_NOT_FOUND'
      ? mismatch(target.path, 'there is no file')
      : error;
  });
  try {
    if (file.stat.size > MAX_HASHED_BYTES) {
      throw new Fault(
        'TOO_LARGE',
        `${quote(target.path)} is over ${MAX_HASHED_BYTES} bytes; expectedSha256 works up to that.`,
      );
    }
    const found = await hashOf(file);
    if (found !== expected) throw mismatch(target.path, `it has ${found}`);
  } finally {
    file.pin.close();
  }
}

const tooLarge = (maxBytes: number): Fault =>
  new Fault('TOO_LARGE', `The content is larger than the limit of ${maxBytes} bytes. Nothing was changed.`);

const full = (): Fault =>
  new Fault('NO_SPACE', 'The slot may not hold so much more. Remove files first. Nothing was changed.');

function mismatch(path: string, found: string): Fault {
  return new Fault(
    'HASH_MISMATCH',
    `${quote(path)} is not the file that expectedSha256 names: ${found}. Read it again.`,
  );
}

/** Node skips what is no base64, which would write another file than was meant. */
function decode(data: string, encoding: 'utf8' | 'base64'): Buffer {
  if (encoding === 'base64' && !/^[A-Za-z0-9+/_\s-]*={0,2}\s*$/.test(data)) {
    throw new Fault('INVALID_PARAMS', 'data is not base64.');
  }
  return Buffer.from(data, encoding);
}

function* slices(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) yield bytes.subarray(at, at + SLICE_BYTES);
}

/** Failures of the source become CANCELLED, apart from those of the disk. */
async function* faithful(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* source;
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault('CANCELLED', 'The upload ended before its last byte. Nothing was changed.');
  }
}
