// Reads regular files: a part as one value, or the whole as a stream. Every bound comes from the first fstat, so a file that grows is no longer.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { Readable } from 'node:stream';
import { DEFAULT_READ_BYTES, MAX_INLINE_BYTES } from '../../protocol/file.ts';
import type { Door, OpenFile } from './door.ts';
import { mimeOf } from './mime.ts';
import { type Pin, read } from './pin.ts';
import { refusal } from './refusal.ts';

/** Up to here a read also hashes the whole file: about 0.2 s of reading. */
export const MAX_HASHED_BYTES = 64 * 1024 * 1024;
/** Hashing one takes well under a millisecond, so the event loop breathes between two. */
const CHUNK_BYTES = 256 * 1024;

export interface ReadOrder {
  readonly path: string;
  readonly encoding?: 'utf8' | 'base64';
  readonly offset?: number;
  readonly maxBytes?: number;
}

export interface FileContent {
  readonly data: string;
  readonly encoding: 'utf8' | 'base64';
  /** Of the file in data. */
  readonly bytes: number;
  /** Of the whole file. */
  readonly size: number;
  readonly truncated: boolean;
  readonly sha256: string | null;
  readonly mime: string;
}

/**
 * As file.read. Truncated text is cut between two characters, so that reading on at `offset + bytes` joins up;
 * with a `maxBytes` below 4 that may be nothing at all.
 */
export async function readContent(door: Door, order: ReadOrder): Promise<FileContent> {
  const { encoding = 'utf8', offset = 0 } = order;
  const maxBytes = Math.min(order.maxBytes ?? DEFAULT_READ_BYTES, MAX_INLINE_BYTES);
  const file = await door.file(order.path);
  try {
    const { size } = file.stat;
    const window = new Window(offset, Math.max(0, Math.min(offset + maxBytes, size) - offset));
    const hashed = size <= MAX_HASHED_BYTES;
    const hash = createHash('sha256');
    const span = hashed ? { start: 0, end: size } : { start: offset, end: offset + window.length };
    const ended = await eachChunk(file.pin, span, (chunk, position) => {
      if (hashed) hash.update(chunk);
      window.take(chunk, position);
    });
    const whole = window.taken();
    const truncated = offset + whole.length < Math.min(size, ended < span.end ? ended : size);
    const data = truncated && encoding === 'utf8' ? cutAtCharacter(whole) : whole;
    const sha256 = hashed ? hash.digest('hex') : null;
    const mime = mimeOf(file.path);
    return { data: data.toString(encoding), encoding, bytes: data.length, size, truncated, sha256, mime };
  } catch (error) {
    throw refusal(error, file.path);
  } finally {
    file.pin.close();
  }
}

/** The SHA-256 of a whole file as of its fstat. */
export async function hashOf({ pin, stat }: OpenFile): Promise<string> {
  const hash = createHash('sha256');
  await eachChunk(pin, { start: 0, end: stat.size }, (chunk) => hash.update(chunk));
  return hash.digest('hex');
}

export interface FileFacts {
  readonly size: number;
  readonly mime: string;
  readonly mtimeMs: number;
  /** Strong, with its quotes; another after any change, since a payload cannot set the change time. */
  readonly etag: string;
}

/** Both ends inclusive, as in HTTP and node:fs; cut to the file. */
export interface ByteRange {
  readonly start?: number;
  readonly end?: number;
}

export interface FileStream extends FileFacts {
  /** Holds a descriptor until it was read to its end or destroyed. */
  readonly stream: Readable;
  /** Of the stream. It fails when somebody cuts the file meanwhile. */
  readonly length: number;
}

/** Opens a file once and streams a part of it. `range` may be a function, for who must see the facts of this very file first. */
export async function openRead(
  door: Door,
  path: string,
  range: ByteRange | ((facts: FileFacts) => ByteRange) = {},
): Promise<FileStream> {
  const { pin } = await door.file(path);
  try {
    const facts = factsOf(pin, path);
    const asked = typeof range === 'function' ? range(facts) : range;
    const start = asked.start ?? 0;
    const end = Math.min(asked.end ?? facts.size - 1, facts.size - 1);
    if (start > end) return { ...facts, stream: Readable.from([]), length: 0 };
    const stream = fs.createReadStream('', { fd: pin.fd, start, end, highWaterMark: CHUNK_BYTES, fs: whole });
    pin.release();
    return { ...facts, stream, length: end - start + 1 };
  } finally {
    pin.close();
  }
}

/**
 * For a stream whose length was told: a file that ends before is an error, not an end. Over HTTP the reader would wait for the rest, and take
 * the reply that comes next on the connection for it.
 */
const whole = {
  open: fs.open,
  close: fs.close,
  read: ((fd: number, buffer: Buffer, offset: number, length: number, position: number, done: ReadDone): void => {
    fs.read(fd, buffer, offset, length, position, (error, bytesRead, bytes) => {
      const cut = error === null && bytesRead === 0 ? new Error('the file was cut while it was read') : error;
      done(cut, bytesRead, bytes);
    });
  }) as typeof fs.read,
};

type ReadDone = (error: NodeJS.ErrnoException | null, bytesRead: number, buffer: Buffer) => void;

function factsOf(pin: Pin, path: string): FileFacts {
  const stat = fs.fstatSync(pin.fd, { bigint: true });
  const etag = `"${[stat.ino, stat.size, stat.ctimeNs].map((part) => part.toString(36)).join('-')}"`;
  return { size: Number(stat.size), mime: mimeOf(path), mtimeMs: Number(stat.mtimeMs), etag };
}

/** Gives [start, end) in pieces that are good until the next one; returns where it ended, before `end` if the file did. */
async function eachChunk(
  pin: Pin,
  { start, end }: { readonly start: number; readonly end: number },
  use: (chunk: Buffer, position: number) => void,
): Promise<number> {
  const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(CHUNK_BYTES, end - start)));
  let position = start;
  while (position < end) {
    const { bytesRead } = await read(pin.fd, buffer, 0, Math.min(buffer.length, end - position), position);
    if (bytesRead === 0) break;
    use(buffer.subarray(0, bytesRead), position);
    position += bytesRead;
  }
  return position;
}

/** The asked part of a file, gathered from chunks that pass by in order. */
class Window {
  readonly length: number;
  readonly #offset: number;
  readonly #bytes: Buffer;
  #filled = 0;

  constructor(offset: number, length: number) {
    this.#offset = offset;
    this.length = length;
    this.#bytes = Buffer.allocUnsafe(length);
  }

  take(chunk: Buffer, position: number): void {
    const from = Math.max(0, this.#offset - position);
    if (from >= chunk.length || this.#filled >= this.length) return;
    this.#filled += chunk.copy(this.#bytes, this.#filled, from);
  }

  taken(): Buffer {
    return this.#bytes.subarray(0, this.#filled);
  }
}

/** Without the bytes of a last character that is not complete. Bytes that are no UTF-8 at all stay. */
export function cutAtCharacter(bytes: Buffer): Buffer {
  // A character has at most four bytes, so its first one is among the last three when some are missing.
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) return bytes;
    if (byte >= 0xc0) return lengthOf(byte) > back ? bytes.subarray(0, bytes.length - back) : bytes;
  }
  return bytes;
}

function lengthOf(first: number): number {
  if (first >= 0xf0) return first < 0xf8 ? 4 : 1;
  return first >= 0xe0 ? 3 : 2;
}
