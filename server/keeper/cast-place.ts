// Where the recording of a lease lies, and how it begins.
import { join } from 'node:path';
import type { CastHeader } from '../../protocol/asciicast.ts';
import { Fault } from '../../protocol/fault.ts';
import { CAST_ID } from '../../protocol/vocabulary.ts';
import type { LogSpec } from './keeper.ts';

/** Recordings hold whatever agents printed: for the gateway's own user alone. */
export const CASTS_MODE = 0o700;

/** Where the recordings of a data directory are. */
export function castDirectory(dataDir: string): string {
  return join(dataDir, 'casts');
}

/** Throws when the name is none of a cast: it becomes a path. */
export function castPath(dataDir: string, cast: string): string {
  if (!CAST_ID.test(cast)) throw new Error('that is no name of a recording');
  return join(castDirectory(dataDir), `${cast}.cast`);
}

/** What a recording says of itself in its first line. */
export function headerOf({ cast, slot, label, cols, rows }: LogSpec, startedAt: number): CastHeader {
  const termType = 'xterm-256color';
  return {
    version: 3,
    cols,
    rows,
    termType,
    timestamp: Math.floor(startedAt / 1000),
    ...(label === null ? {} : { title: label }),
    env: { SHELL: '/bin/bash', TERM: termType },
    slotcast: { cast, slot, label, startedAt },
  };
}

/** Throws it on, as NO_SPACE when it says that the disk is full. */
export function asNoSpace(error: unknown): never {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  if (code !== 'ENOSPC' && code !== 'EDQUOT') throw error;
  throw new Fault('NO_SPACE', 'The disk is full, so nothing could be begun. Free space in the data directory.');
}
