// The one door for paths: from the workspace's own descriptor down, name by name, never through a symbolic link.
// Must never resolve a path first and open it afterwards: what lies between the two belongs to the payload.
import type { Stats } from 'node:fs';
import { chmod, chown, lstat, mkdir } from 'node:fs/promises';
import { Fault } from '../../protocol/fault.ts';
import { joinPath, parsePath, quote, type WorkspacePath } from './path.ts';
import { ENTER, LOOK, open, Pin, READ_PINNED } from './pin.ts';
import { errorCode, failure, refusal } from './refusal.ts';

/** Whom new files belong to when the gateway is root. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Permissions of a new directory, as mkdir makes them under the usual umask. */
const DIRECTORY_MODE = 0o755;

/** A name and the directory that it stands in. Whoever gets one closes `dir`. */
export interface Slip {
  readonly dir: Pin;
  readonly name: string;
  /** Relative to the workspace, for messages and results. */
  readonly path: string;
}

export interface OpenFile {
  readonly pin: Pin;
  /** Of the moment of opening; every later bound comes from it. */
  readonly stat: Stats;
  readonly path: string;
}

export class Door {
  readonly #root: string;
  readonly #owner: Owner | null;

  constructor(place: { readonly root: string; readonly owner: Owner | null }) {
    this.#root = place.root;
    this.#owner = place.owner;
  }

  /** Pins the directory of this path. A link at any place of it is PATH_OUTSIDE. */
  async directory(path: WorkspacePath): Promise<Pin> {
    const { dir, missing } = await this.reach(path);
    if (missing.length === 0) return dir;
    dir.close();
    throw new Fault('FILE_NOT_FOUND', `There is no directory ${quote(joinPath(path.names))} in the workspace.`);
  }

  /** Pins the deepest directory of this path that is there, and says which names are still to be made below it. */
  async reach(path: WorkspacePath): Promise<{ dir: Pin; missing: readonly string[] }> {
    let dir = await this.#pinRoot();
    for (const [depth, name] of path.names.entries()) {
      const next = await this.#step(dir, name, path.names.slice(0, depth + 1)).catch((error: unknown) => {
        dir.close();
        throw error;
      });
      if (next === null) return { dir, missing: path.names.slice(depth) };
      dir.close();
      dir = next;
    }
    return { dir, missing: [] };
  }

  /** Pins the parent, for calls that act on the name itself: they see a link as a link. */
  async parent(path: WorkspacePath): Promise<Slip> {
    const name = path.names.at(-1);
    if (name === undefined) throw new Fault('INVALID_PARAMS', 'This cannot be done to the workspace itself.');
    const dir = await this.directory({ names: path.names.slice(0, -1), directory: true });
    return { dir, name, path: joinPath(path.names) };
  }

  /** Opens a regular file for reading. Nothing else is ever opened: a pin tells the kind first. */
  async file(text: string): Promise<OpenFile> {
    const path = parsePath(text);
    if (path.names.length === 0) throw wrongKind('.', 'dir');
    const slip = await this.parent(path);
    try {
      const file = await openFile(slip);
      if (!path.directory) return file;
      file.pin.close();
      throw new Fault('WRONG_FILE_KIND', `${quote(slip.path)} is a file, and the path ends like a directory.`);
    } finally {
      slip.dir.close();
    }
  }

  /** Makes these names below `dir`, each owned by the owner, and pins the last; `dir` itself when there is none. Never closes `dir`. */
  async make(dir: Pin, names: readonly string[], path: string): Promise<Pin> {
    let current = dir;
    try {
      for (const name of names) {
        const next = await this.#makeOne(current, name, path);
        if (current !== dir) current.close();
        current = next;
      }
    } catch (error) {
      if (current !== dir) current.close();
      throw refusal(error, path);
    }
    return current;
  }

  async #makeOne(dir: Pin, name: string, path: string): Promise<Pin> {
    const made = await mkdir(dir.at(name), DIRECTORY_MODE).then(
      () => true,
      (error: unknown) => {
        if (errorCode(error) === 'EEXIST') return false;
        throw error;
      },
    );
    const pin = await this.#step(dir, name, [path]);
    if (pin === null) throw new Fault('FILE_NOT_FOUND', `${quote(path)} was removed while it was being made.`);
    if (!made) return pin;
    try {
      if (this.#owner) await chown(pin.path, this.#owner.uid, this.#owner.gid);
      await chmod(pin.path, DIRECTORY_MODE);
    } catch (error) {
      pin.close();
      throw error;
    }
    return pin;
  }

  async #pinRoot(): Promise<Pin> {
    try {
      return new Pin(await open(this.#root, ENTER));
    } catch (error) {
      throw failure('the workspace cannot be opened', errorCode(error));
    }
  }

  /** null when the name is not there. */
  async #step(dir: Pin, name: string, names: readonly string[]): Promise<Pin | null> {
    try {
      return new Pin(await open(dir.at(name), ENTER));
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return null;
      throw await stepFault(error, { dir, name, path: joinPath(names) });
    }
  }
}

/** Opens a regular file by its name in a pinned directory. */
export async function openFile({ dir, name, path }: Slip): Promise<OpenFile> {
  let look: Pin | null = null;
  try {
    look = new Pin(await open(dir.at(name), LOOK));
    const kind = look.stat();
    if (!kind.isFile()) throw wrongKind(path, kind.isDirectory() ? 'dir' : kind.isSymbolicLink() ? 'symlink' : 'other');
    const pin = new Pin(await open(look.path, READ_PINNED));
    return { pin, stat: pin.stat(), path };
  } catch (error) {
    throw refusal(error, path);
  } finally {
    look?.close();
  }
}

/** The fault for a thing that would have to be a regular file. Following a link is PATH_OUTSIDE wherever it leads. */
function wrongKind(path: string, kind: 'dir' | 'symlink' | 'other'): Error {
  if (kind === 'symlink') return refusal(Object.assign(new Error(), { code: 'ELOOP' }), path);
  const what = kind === 'dir' ? 'is a directory' : 'is a FIFO, socket or device';
  return new Fault('WRONG_FILE_KIND', `${quote(path)} ${what}; this call needs a regular file.`);
}

/** The kernel says ENOTDIR for a link and for a file alike. This look only words the fault, so a race in it is harmless. */
async function stepFault(error: unknown, { dir, name, path }: Slip): Promise<Error> {
  if (errorCode(error) !== 'ENOTDIR' && errorCode(error) !== 'ELOOP') return refusal(error, path);
  const found = await lstat(dir.at(name)).catch(() => null);
  if (found?.isSymbolicLink()) return wrongKind(path, 'symlink');
  return new Fault('WRONG_FILE_KIND', `${quote(path)} is no directory.`);
}
