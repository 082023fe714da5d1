// Ends the recordings that a crash left open: each is cut at its last whole line, says so, and is sealed.
// Bytes that were more than one torn line are never thrown away: the file as it was found stays beside it.
import { constants, copyFile, open, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import {
  CastDecoder,
  CastEncoder,
  CastError,
  type CastItem,
  type CastSeal,
  encodeChainSeal,
  encodeSeal,
  parseSeal,
} from '../../protocol/asciicast.ts';
import { type ChainLink, encodeLink, Section } from '../../protocol/chain.ts';
import { CastFile } from './cast-file.ts';
import { chainHash } from './chain-hash.ts';

/** What the marker at the end of such a recording says. */
export const UNSEALED_LABEL = 'recording ended without notice';
const CAST = '.cast';
/** Behind the name of a file that can't be read, or of the copy of one that was cut in the middle. */
const DAMAGED = '.damaged';
/** Read at once: large enough to be quick, small enough that the event loop is free between two. */
const PIECE_BYTES = 1024 * 1024;
/** Longer than any seal. */
const SEAL_BYTES = 512;

export interface RecoveryOptions {
  /** Whether a marker begins a command; the seal counts them. */
  readonly isCommand: (label: string) => boolean;
}

/** sealed: nothing to do. recovered: cut and sealed. damaged: set aside under another name. */
export type Recovery = 'sealed' | 'recovered' | 'damaged';

/** Recovers every recording of a directory in which nothing records; one that can't be is told to `failed` and left as it is. */
export async function recoverCasts(
  directory: string,
  options: RecoveryOptions & { readonly failed: (error: unknown, file: string) => void },
): Promise<ReadonlyMap<string, Recovery>> {
  const found = new Map<string, Recovery>();
  for (const name of (await readdir(directory)).filter((file) => file.endsWith(CAST)).sort()) {
    try {
      found.set(name, await recoverCast(join(directory, name), options));
    } catch (error) {
      options.failed(error, name);
    }
  }
  return found;
}

export async function recoverCast(path: string, options: RecoveryOptions): Promise<Recovery> {
  if (await isSealed(path)) return 'sealed';
  const found = await readWhole(path, options);
  if (!found.header) {
    await rename(path, path + DAMAGED);
    return 'damaged';
  }
  if (found.broken) await copyFile(path, path + DAMAGED, constants.COPYFILE_FICLONE);
  const file = await CastFile.goOn(path, found.end);
  try {
    await file.append(await ending(path, found));
  } finally {
    await file.close();
  }
  return 'recovered';
}

/** What the sound part of a recording says. */
interface Found {
  header: boolean;
  /** Bytes up to the end of the last sound line. */
  end: number;
  timeMs: number;
  frames: number;
  commands: number;
  /** The marker stands there already: an earlier recovery was cut short. */
  marked: boolean;
  /** A whole line is no asciicast, and more may follow it. */
  broken: boolean;
  /** The last link, and the byte after it. */
  link: ChainLink | null;
  linkEnd: number;
  /** The last line, when it is a seal that lacks its newline alone. */
  seal: CastSeal | null;
}

async function ending(path: string, found: Found): Promise<string> {
  if (found.seal !== null) return encodeSeal(found.seal);
  const { timeMs, commands } = found;
  const marker = found.marked ? '' : new CastEncoder(3, timeMs).encode({ timeMs, code: 'm', data: UNSEALED_LABEL });
  const frames = found.frames + (found.marked ? 0 : 1);
  const seal: CastSeal = { duration: timeMs / 1000, frames, commands, recovered: true };
  // A recording of an older version, which had no chain: it is not for us to vouch for it.
  if (found.link === null && found.frames > 0) return marker + encodeSeal(seal);
  if (found.link !== null && found.linkEnd === found.end && marker === '') {
    return encodeChainSeal(seal, found.link, chainHash);
  }
  const link = await linkOver(path, found, marker);
  return marker + encodeLink(link) + encodeChainSeal(seal, link, chainHash);
}

/** The link over what stands behind the last one, and the marker. */
async function linkOver(path: string, found: Found, marker: string): Promise<ChainLink> {
  const section = new Section(found.link, chainHash);
  const file = await open(path, 'r');
  try {
    const piece = Buffer.alloc(PIECE_BYTES);
    for (let at = found.linkEnd; at < found.end; ) {
      const { bytesRead } = await file.read(piece, 0, Math.min(piece.length, found.end - at), at);
      if (bytesRead === 0) break;
      section.take(piece.subarray(0, bytesRead));
      at += bytesRead;
    }
  } finally {
    await file.close();
  }
  section.take(Buffer.from(marker));
  return section.link();
}

async function isSealed(path: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const length = Math.min(size, SEAL_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
    const lines = buffer.toString('utf8', 0, bytesRead).split('\n');
    return lines.at(-1) === '' && parseSeal(lines.at(-2) ?? '') !== null;
  } finally {
    await file.close();
  }
}

async function readWhole(path: string, options: RecoveryOptions): Promise<Found> {
  const decoder = new CastDecoder();
  const found: Found = {
    header: false,
    end: 0,
    timeMs: 0,
    frames: 0,
    commands: 0,
    marked: false,
    broken: false,
    link: null,
    linkEnd: 0,
    seal: null,
  };
  const file = await open(path, 'r');
  try {
    const piece = Buffer.alloc(PIECE_BYTES);
    for (;;) {
      const { bytesRead } = await file.read(piece, 0, piece.length, null);
      if (bytesRead === 0) break;
      for (const item of decoder.decode(piece.subarray(0, bytesRead))) note(found, item, options);
    }
  } catch (error) {
    if (!(error instanceof CastError)) throw error;
    found.broken = true;
  } finally {
    await file.close();
  }
  found.end = decoder.offset;
  if (!found.broken) found.seal = parseSeal(decoder.rest);
  return found;
}

function note(found: Found, item: CastItem, options: RecoveryOptions): void {
  if (item.kind === 'link') {
    found.link = item.link;
    found.linkEnd = item.end;
    return;
  }
  found.marked = false;
  if (item.kind === 'header') found.header = true;
  if (item.kind !== 'event') return;
  found.timeMs = item.timeMs;
  found.frames++;
  const isMarker = item.code === 'm';
  found.marked = isMarker && item.data === UNSEALED_LABEL;
  if (isMarker && options.isCommand(item.data)) found.commands++;
}
