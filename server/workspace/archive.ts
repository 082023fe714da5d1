// Packs a part of the workspace as tar.gz or zip, as one value or as a stream. Works without a file of its own;
// must never put a link, a special file, an owner or a set-id bit into an archive, nor go on beyond a limit.
import { type Readable, Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Archiver } from 'archiver';
import type { ArchiveFormat } from '../../protocol/artifact.ts';
import { Fault } from '../../protocol/fault.ts';
import { MAX_INLINE_BYTES } from '../../protocol/file.ts';
import type { Door, OpenFile } from './door.ts';
import { Feed } from './feed.ts';
import { openParcel, type Parcel, parcelOf } from './parcel.ts';
import { joinPath, parsePath, quote, type WorkspacePath } from './path.ts';
import type { Pin } from './pin.ts';
import { errorCode } from './refusal.ts';
import { type Visit, Walk } from './walk.ts';

const DEFAULT_ENTRIES = 100_000;
/** Of a streamed archive: nothing here holds it, the limit only ends what would never end. */
const DEFAULT_STREAM_BYTES = 8 * 1024 ** 3;
/** A sparse terabyte packs a thousand to one and would take an hour of zeros to reach the limit; text packs ten to one. */
const MAX_RATIO = 64;
/** The fastest: the disk and the network are not to wait for the compressor. */
const LEVEL = 1;
/** The archiver writes three small pieces an entry, and each piece would be a trip of its own to the thread pool. */
const BATCH_BYTES = 256 * 1024;
/** Files opened and read side by side, while as many are being packed: the bound of their descriptors is twice that. */
const FILES_AT_ONCE = 8;

export interface ArchiveOrder {
  readonly path?: string;
  readonly format?: ArchiveFormat;
  /** Of the archive. What goes in may be 64 times that. */
  readonly maxBytes?: number;
  /** Counts what is skipped, too: it bounds the walk. */
  readonly maxEntries?: number;
  readonly signal?: AbortSignal;
}

export interface ArchiveCount {
  readonly bytes: number;
  /** Files and directories in the archive. */
  readonly entries: number;
  /** Links, special files, what vanished or could not be read, and files that were cut while being packed (they end in zeros). */
  readonly skipped: number;
}

export interface ArchiveStream {
  /** Errors when the archive cannot be finished; `done` says why. Holds descriptors until read to its end or destroyed. */
  readonly stream: Readable;
  readonly mime: string;
  /** Resolves when all is written. Rejects with TOO_LARGE, or CANCELLED when the stream was dropped; need not be awaited. */
  readonly done: Promise<ArchiveCount>;
}

/** As artifact.archive, not yet in base64. Names are relative to the directory that was asked for; of a single file it is its own name. */
export async function packArchive(door: Door, order: ArchiveOrder): Promise<ArchiveCount & { readonly data: Buffer }> {
  const maxBytes = Math.min(order.maxBytes ?? MAX_INLINE_BYTES, MAX_INLINE_BYTES);
  const { stream, done } = await packStream(door, { ...order, maxBytes });
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of stream) chunks.push(chunk);
  } catch {
    // `done` tells the same failure as a Fault.
  }
  return { ...(await done), data: Buffer.concat(chunks) };
}

/** The same while it is being packed, for archives of any size. @throws PATH_OUTSIDE, FILE_NOT_FOUND, WRONG_FILE_KIND before it begins */
export async function packStream(door: Door, order: ArchiveOrder): Promise<ArchiveStream> {
  const path = parsePath(order.path ?? '.');
  // A fifth of all that is loaded, which a gateway that takes over from another is not to wait for.
  const { TarArchive, ZipArchive } = await import('archiver');
  const source = await openSource(door, path, order.path ?? '.');
  const zip = order.format === 'zip';
  const archive: Archiver = zip ? new ZipArchive({ zlib: { level: LEVEL } }) : new TarArchive();
  const meter = new Meter(order.maxBytes ?? DEFAULT_STREAM_BYTES);
  const batch = new Batch();
  const packing = new Packing(new Feed(archive, batch), order, meter.maxBytes * MAX_RATIO);
  const compress = zip ? [] : [createGzip({ level: LEVEL, chunkSize: BATCH_BYTES })];
  const stages = [batch, ...compress, meter];
  // `done` tells every failure; without listeners one that comes after the pipeline has let go would end the process.
  for (const stage of stages) stage.on('error', ignore);
  const piped = pipeline(stages, order.signal ? { signal: order.signal } : {});
  // The archiver stands outside: destroyed in the middle of an entry, it throws where nobody can catch. It is dropped instead.
  archive.on('error', (error) => batch.destroy(error));
  archive.pipe(batch);
  const pumped = packing.run(source).catch((error: unknown) => {
    batch.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  });
  const done = settled(pumped, piped).then(() => ({ ...packing.count(), bytes: meter.bytes }));
  done.catch(ignore);
  return { stream: meter, mime: zip ? 'application/zip' : 'application/gzip', done };
}

type Source = { readonly dir: Pin } | { readonly file: OpenFile; readonly name: string };

async function openSource(door: Door, path: WorkspacePath, text: string): Promise<Source> {
  try {
    return { dir: await door.directory(path) };
  } catch (error) {
    if (!(error instanceof Fault) || error.fault !== 'WRONG_FILE_KIND') throw error;
    return { file: await door.file(text), name: path.names.at(-1) ?? joinPath(path.names) };
  }
}

/** One archive on its way: what was packed, what was left out, and how much may still go in. */
class Packing {
  readonly #feed: Feed;
  readonly #maxEntries: number;
  readonly #maxInputBytes: number;
  #inputBytes = 0;
  #entries = 0;
  #skipped = 0;

  constructor(feed: Feed, { maxEntries = DEFAULT_ENTRIES }: ArchiveOrder, maxInputBytes: number) {
    this.#feed = feed;
    this.#maxEntries = maxEntries;
    this.#maxInputBytes = maxInputBytes;
  }

  count(): { entries: number; skipped: number } {
    return { entries: this.#entries, skipped: this.#skipped };
  }

  /** Closes the source. */
  async run(source: Source): Promise<void> {
    const pin = 'dir' in source ? source.dir : source.file.pin;
    try {
      if ('dir' in source) await this.#tree(source.dir);
      else await this.#addAll([source.name], [await parcelOf(source.file.pin)]);
    } finally {
      pin.close();
    }
    await this.#feed.finish();
  }

  async #tree(top: Pin): Promise<void> {
    const walk = new Walk(this.#maxEntries);
    for await (const visit of walk.visits(top)) {
      if (walk.cut) throw tooLarge(`There are more than ${this.#maxEntries} entries (maxEntries).`);
      await this.#directory(visit);
    }
    this.#skipped += walk.lost;
  }

  async #directory({ dir, prefix, stat, found }: Visit): Promise<void> {
    if (prefix !== '') {
      await this.#feed.directory(prefix.slice(0, -1), stat.mtimeMs);
      this.#entries += 1;
    }
    const names = found.filter(({ kind }) => kind === 'file').map(({ name }) => name);
    this.#skipped += found.filter(({ kind }) => kind === 'symlink' || kind === 'other').length;
    const load = (at: number) => Promise.all(names.slice(at, at + FILES_AT_ONCE).map((name) => openParcel(dir, name)));
    let next = load(0);
    try {
      for (let at = 0; at < names.length; at += FILES_AT_ONCE) {
        const parcels = await next;
        next = load(at + FILES_AT_ONCE);
        await this.#addAll(
          names.slice(at, at + FILES_AT_ONCE).map((name) => prefix + name),
          parcels,
        );
      }
    } finally {
      // What was opened ahead is not wanted after a failure; and the directory is let go only when no call names it any more.
      discard(await next);
    }
  }

  async #addAll(paths: readonly string[], parcels: readonly (Parcel | null)[]): Promise<void> {
    try {
      for (const [at, path] of paths.entries()) await this.#add(path, parcels[at] ?? null);
    } catch (error) {
      discard(parcels);
      throw error;
    }
  }

  async #add(path: string, parcel: Parcel | null): Promise<void> {
    if (parcel === null) {
      this.#skipped += 1;
      return;
    }
    this.#inputBytes += parcel.size;
    if (this.#inputBytes > this.#maxInputBytes) {
      throw tooLarge(
        `The files have over ${this.#maxInputBytes} bytes, ${MAX_RATIO} times maxBytes, at ${quote(path)}.`,
      );
    }
    await this.#feed.file(path, parcel);
    this.#entries += 1;
    if (parcel.padded()) this.#skipped += 1;
  }
}

function discard(parcels: readonly (Parcel | null)[]): void {
  for (const parcel of parcels) if (parcel && !Buffer.isBuffer(parcel.content)) parcel.content.destroy();
}

/** Joins what the archiver writes into pieces that are worth a trip. */
class Batch extends Transform {
  #pieces: Buffer[] = [];
  #bytes = 0;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#pieces.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes >= BATCH_BYTES) this.#send();
    done();
  }

  override _flush(done: TransformCallback): void {
    this.#send();
    done();
  }

  #send(): void {
    if (this.#bytes > 0) this.push(Buffer.concat(this.#pieces, this.#bytes));
    this.#pieces = [];
    this.#bytes = 0;
  }
}

/** Counts what leaves, and ends it at the limit. */
class Meter extends Transform {
  readonly maxBytes: number;
  bytes = 0;

  constructor(maxBytes: number) {
    super();
    this.maxBytes = maxBytes;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.bytes += chunk.length;
    if (this.bytes > this.maxBytes) done(tooLarge(`The archive is larger than ${this.maxBytes} bytes (maxBytes).`));
    else done(null, chunk);
  }
}

/** Resolves when both do. When they fail, the cause is the one that is a Fault: the other only saw its stream end. */
async function settled(pumped: Promise<void>, piped: Promise<void>): Promise<void> {
  const causes = (await Promise.allSettled([piped, pumped])).flatMap((result) =>
    result.status === 'rejected' ? [result.reason] : [],
  );
  if (causes.length === 0) return;
  const fault = causes.find((cause) => cause instanceof Fault);
  const dropped = ['ABORT_ERR', 'ERR_STREAM_PREMATURE_CLOSE'].includes(errorCode(causes[0]));
  throw fault ?? (dropped ? new Fault('CANCELLED', 'The archive was not read to its end.') : causes[0]);
}

function tooLarge(what: string): Fault {
  return new Fault('TOO_LARGE', `${what} Archive less at a time, or raise the limit.`);
}

function ignore(): void {}
