// What a list shows of a cast: its header and its seal, without what is between. Files that are sealed don't change and are read once.
import { type FileHandle, open } from 'node:fs/promises';
import { CastDecoder, CastError, type CastHeader, type CastSeal, parseSeal } from '../../protocol/asciicast.ts';

/** A header has a label of at most 200 characters and a few numbers. */
const HEADER_BYTES = 16 * 1024;
/** A seal has three numbers and a hash. */
const SEAL_BYTES = 512;

export interface Summary {
  readonly header: CastHeader;
  /** null while it is recorded, and after a crash until it is recovered. */
  readonly seal: CastSeal | null;
  readonly bytes: number;
}

/** null when it is no readable cast. Rejects with the file system's error. */
export async function readSummary(path: string): Promise<Summary | null> {
  const file = await open(path, 'r');
  try {
    const stat = await file.stat();
    if (!stat.isFile()) return null;
    const { size } = stat;
    const header = headerOf(await read(file, 0, Math.min(size, HEADER_BYTES)));
    if (header === null) return null;
    const start = Math.max(0, size - SEAL_BYTES);
    return { header, seal: sealOf(await read(file, start, size - start)), bytes: size };
  } finally {
    await file.close();
  }
}

/** ms since 1970; 0 for one that does not say. */
export const startOf = ({ header }: Pick<Summary, 'header'>): number =>
  header.slotcast?.startedAt ?? (header.timestamp ?? 0) * 1000;

async function read(file: FileHandle, start: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, start);
  return buffer.subarray(0, bytesRead);
}

function headerOf(bytes: Buffer): CastHeader | null {
  try {
    for (const item of new CastDecoder().decode(bytes)) return item.kind === 'header' ? item.header : null;
  } catch (error) {
    if (!(error instanceof CastError)) throw error;
  }
  return null;
}

function sealOf(bytes: Buffer): CastSeal | null {
  const text = bytes.toString('utf8');
  if (!text.endsWith('\n')) return null;
  return parseSeal(text.slice(text.lastIndexOf('\n', text.length - 2) + 1));
}
