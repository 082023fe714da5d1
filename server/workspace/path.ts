// Reads a path as a caller wrote it: names below the workspace, or a fault. Must never touch the disk: what the names lead to is for the door.
import { Fault } from '../../protocol/fault.ts';

/** What the kernel takes: PATH_MAX less its NUL, NAME_MAX. */
export const MAX_PATH_BYTES = 4095;
export const MAX_NAME_BYTES = 255;
/** Where a payload sees its workspace. */
const MOUNT = 'workspace';
/** Enough of a path to know it again; a message is no place for 4 KB. */
const SHOWN_CHARACTERS = 200;

/** A place in the workspace. No name is empty, `.` or `..`; no names at all is the workspace itself. */
export interface WorkspacePath {
  readonly names: readonly string[];
  /** It was written as a directory: `a/`, `a/.`, `.`. */
  readonly directory: boolean;
}

/**
 * Relative to the workspace, or absolute below /workspace. `..` is resolved in the text; percent signs are ordinary characters.
 * @throws PATH_OUTSIDE when it leads out at any point, INVALID_PARAMS when no file can have it
 */
export function parsePath(text: string): WorkspacePath {
  refuseImpossible(text);
  const pieces = text.split('/').filter((piece) => piece !== '');
  if (text.startsWith('/') && pieces.shift() !== MOUNT) throw outside(text);
  const names: string[] = [];
  for (const piece of pieces) {
    if (piece === '..') {
      if (names.pop() === undefined) throw outside(text);
    } else if (piece !== '.') names.push(piece);
  }
  const last = pieces.at(-1);
  const directory = names.length === 0 || text.endsWith('/') || last === '.' || last === '..';
  return { names, directory };
}

/** As results write it: relative, `.` for the workspace. */
export function joinPath(names: readonly string[]): string {
  return names.length === 0 ? '.' : names.join('/');
}

/** For messages: quoted, cut, and with nothing in it that moves a cursor or turns the text around. */
export function quote(text: string): string {
  const shown = text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
  return `"${shown.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}"\\]/gu, escapeCharacter)}"`;
}

function escapeCharacter(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16)}}`;
}

function refuseImpossible(text: string): void {
  if (text === '') throw new Fault('INVALID_PARAMS', 'path is empty. Use "." for the workspace itself.');
  if (text.includes('\0'))
    throw new Fault('INVALID_PARAMS', 'path contains a NUL character. No file can have that name.');
  if (/\p{Cs}/u.test(text))
    throw new Fault('INVALID_PARAMS', 'path is not valid Unicode: it has half of a surrogate pair.');
  if (Buffer.byteLength(text) > MAX_PATH_BYTES) {
    throw new Fault('INVALID_PARAMS', `path ${quote(text)} is longer than ${MAX_PATH_BYTES} bytes.`);
  }
  const long = text.split('/').find((piece) => Buffer.byteLength(piece) > MAX_NAME_BYTES);
  if (long !== undefined) {
    throw new Fault('INVALID_PARAMS', `path has a name longer than ${MAX_NAME_BYTES} bytes: ${quote(long)}.`);
  }
}

function outside(text: string): Fault {
  return new Fault(
    'PATH_OUTSIDE',
    `${quote(text)} leads out of the workspace. Use a path relative to it, or one below /${MOUNT}.`,
  );
}
