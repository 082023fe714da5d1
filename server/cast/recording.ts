// One cast's file, read in pieces from any place that an index knows. It writes nothing and never holds the whole file.
import { type FileHandle, open } from 'node:fs/promises';
import { CastDecoder, CastError, type CastItem } from '../../protocol/asciicast.ts';
import { Fault } from '../../protocol/fault.ts';

/** One read: decoded in two or three milliseconds, so that others get their turn between two of them. */
const PIECE_BYTES = 256 * 1024;
const NEWLINE = 10;

/** Where reading can begin: between two lines. */
export interface Place {
  /** Bytes before it. */
  readonly offset: number;
  /** Of the last frame before it. */
  readonly seq: number;
  readonly timeMs: number;
}

export const START: Place = { offset: 0, seq: 0, timeMs: 0 };

/** A part of the file, by places of an index; `version` is that of the file's header. */
export interface Part {
  readonly from: Place;
  /** Byte after the last one to read. */
  readonly end: number;
  readonly version: 2 | 3;
}

/** The file, to be closed by the caller. Faults: CAST_NOT_FOUND. */
export async function openCast(path: string, cast: string): Promise<FileHandle> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? noSuchCast(cast) : error;
  });
  // A directory can be opened too.
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw noSuchCast(cast);
}

/** Runs `work` on the open file. Faults: CAST_NOT_FOUND. */
export async function withFile<T>(path: string, cast: string, work: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await openCast(path, cast);
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

export const noSuchCast = (cast: string): Fault =>
  new Fault('CAST_NOT_FOUND', `There is no recording ${JSON.stringify(cast.slice(0, 90))}. cast.list names them.`);

/** What stands in a part, in batches. Throws CastError with line and offset in the file, after what came before it. */
export async function* readItems(file: FileHandle, part: Part): AsyncGenerator<readonly CastItem[]> {
  const { from, version } = part;
  const decoder = new CastDecoder(from.offset === 0 ? null : { ...from, version });
  for await (const piece of readPieces(file, from.offset, part.end)) {
    const items: CastItem[] = [];
    let error: unknown = null;
    try {
      for (const item of decoder.decode(piece)) items.push(item);
    } catch (caught) {
      error = caught;
    }
    yield items;
    if (error instanceof CastError) throw await placed(file, error);
    if (error !== null) throw error;
  }
}

/** Bytes of the file in pieces; each is only valid until the next is asked for. */
export async function* readPieces(file: FileHandle, start: number, end: number): AsyncGenerator<Uint8Array> {
  // No Buffer: what a decoder slices off one of those would change with the next read.
  const buffer = new Uint8Array(Math.min(PIECE_BYTES, Math.max(1, end - start)));
  for (let at = start; at < end; ) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, end - at), at);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}

/** Bytes up to the end of the last whole line. */
export async function wholeBytes(file: FileHandle): Promise<number> {
  const { size } = await file.stat();
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - PIECE_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(end - start), 0, end - start, start);
    const last = buffer.subarray(0, bytesRead).lastIndexOf(NEWLINE);
    if (last !== -1) return start + last + 1;
    end = start;
  }
  return 0;
}

/** The error with its line counted from the beginning of the file. */
async function placed(file: FileHandle, error: CastError): Promise<CastError> {
  const { offset } = error;
  let line = 1;
  for await (const piece of readPieces(file, 0, offset)) {
    for (let at = piece.indexOf(NEWLINE); at !== -1; at = piece.indexOf(NEWLINE, at + 1)) line++;
  }
  return new CastError(error.message.replace(/^line \d+: /, ''), line, offset);
}
