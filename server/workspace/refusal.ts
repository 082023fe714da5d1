// What a failed file system call means to the caller. Must never let a path of the host through: messages of Node carry them.
import { Fault, type FaultName } from '../../protocol/fault.ts';
import { quote } from './path.ts';

type Meaning = readonly [fault: FaultName, what: string];

const meanings: Readonly<Record<string, Meaning>> = {
  ENOENT: ['FILE_NOT_FOUND', 'is not there.'],
  ENOTDIR: ['WRONG_FILE_KIND', 'is, or leads through, something that is no directory.'],
  EISDIR: ['WRONG_FILE_KIND', 'is a directory.'],
  EEXIST: ['WRONG_FILE_KIND', 'is there already.'],
  ENOTEMPTY: ['WRONG_FILE_KIND', 'is a directory that is not empty.'],
  ELOOP: ['PATH_OUTSIDE', 'is a symbolic link, and file calls never follow one. Name the file itself.'],
  ENXIO: ['WRONG_FILE_KIND', 'is no regular file.'],
  // Opened without blocking, a file under a lease (fcntl F_SETLEASE) answers so instead of making us wait 45 s.
  EAGAIN: ['WRONG_FILE_KIND', 'is held by a program of the slot (a file lease). Stop the program or try again.'],
  ENAMETOOLONG: ['INVALID_PARAMS', 'is longer than a path can be.'],
  EACCES: ['FORBIDDEN', 'has permissions that do not allow this. Change them with chmod.'],
  EPERM: ['FORBIDDEN', 'has permissions or attributes that do not allow this.'],
  EXDEV: ['WRONG_FILE_KIND', 'lies on another file system.'],
  ENOSPC: ['NO_SPACE', 'does not fit: the disk is full. Nothing was changed.'],
  EDQUOT: ['NO_SPACE', 'does not fit: the quota is used up. Nothing was changed.'],
  EFBIG: ['TOO_LARGE', 'would be larger than a file may be here.'],
};

/** The fault for an error of node:fs about `path`; what is no matter of the caller becomes an error without any path. */
export function refusal(error: unknown, path: string): Error {
  if (error instanceof Fault) return error;
  const code = errorCode(error);
  const meaning = meanings[code];
  if (meaning) return new Fault(meaning[0], `${quote(path)} ${meaning[1]}`);
  return code === '' && error instanceof Error ? error : failure('a file system call in a workspace failed', code);
}

/** An error of the system without the path that Node names in it. */
export const failure = (what: string, code: string): Error => Object.assign(new Error(`${what}: ${code}`), { code });

/** `ENOENT` and the like; empty when it is no error of the system. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
