// Changes to names: stat, remove, mkdir, move. They act on a link itself; must never act on what it points to.
import type { Stats } from 'node:fs';
import { link, lstat, mkdir, rename, rmdir, unlink } from 'node:fs/promises';
import { Fault } from '../../protocol/fault.ts';
import type { FileEntry } from '../../protocol/file.ts';
import type { Door, Slip } from './door.ts';
import { joinPath, parsePath, quote } from './path.ts';
import { kindOf } from './pin.ts';
import { errorCode, refusal } from './refusal.ts';
import { removeTree } from './remove.ts';

const PERMISSION_BITS = 0o7777;

export interface FileStat extends FileEntry {
  /** Permission bits with set-id and sticky. */
  readonly mode: number;
}

/** One entry, without following a link. */
export async function statPath(door: Door, text: string): Promise<FileStat> {
  const path = parsePath(text);
  if (path.names.length > 0) return onParent(door, text, async (slip) => entryOf(await look(slip), slip.path));
  const root = await door.directory(path);
  try {
    return entryOf(root.stat(), '.');
  } finally {
    root.close();
  }
}

/** Removes a file or link; a directory only with `recursive`, and then whole. */
export async function removePath(
  door: Door,
  order: { readonly path: string; readonly recursive?: boolean },
): Promise<void> {
  await onParent(door, order.path, async (slip) => {
    if (!(await look(slip)).isDirectory()) return unlink(slip.dir.at(slip.name));
    if (order.recursive) return removeTree(slip);
    throw new Fault('WRONG_FILE_KIND', `${quote(slip.path)} is a directory. Remove it with recursive: true.`);
  });
}

/** Makes a directory and its parents; one that is there is fine. */
export async function makeDirectory(door: Door, text: string): Promise<void> {
  const path = parsePath(text);
  const { dir, missing } = await door.reach(path);
  try {
    const made = await door.make(dir, missing, joinPath(path.names));
    if (made !== dir) made.close();
  } finally {
    dir.close();
  }
}

export interface MoveOrder {
  readonly from: string;
  readonly to: string;
  readonly overwrite?: boolean;
}

/**
 * Renames. Without `overwrite` nothing that is at `to` is lost, whoever puts it there at whatever moment: the kernel decides, no look before.
 * What remains: a file has both names for an instant, a program that puts a new file at `from` in that instant loses it, and a file
 * system without hard links falls back to a look before the rename.
 * With `overwrite` a directory replaces an empty directory only.
 */
export async function movePath(door: Door, { from, to, overwrite = false }: MoveOrder): Promise<void> {
  await onParent(door, from, async (source) => {
    const isDirectory = (await look(source)).isDirectory();
    if (parsePath(to).directory && !isDirectory) {
      throw new Fault('WRONG_FILE_KIND', `${quote(source.path)} is no directory, and "to" ends like one.`);
    }
    await onParent(door, to, (target) => {
      if (overwrite) return rename(source.dir.at(source.name), target.dir.at(target.name));
      return isDirectory ? moveDirectory(source, target) : moveFile(source, target);
    });
  });
}

/** rename(2) replaces an empty directory in one step, so an empty one of ours holds the place. */
async function moveDirectory(source: Slip, target: Slip): Promise<void> {
  const place = target.dir.at(target.name);
  await mkdir(place);
  await rename(source.dir.at(source.name), place).catch(async (error: unknown) => {
    await rmdir(place).catch(() => undefined);
    throw error;
  });
}

/** link(2) never replaces. */
async function moveFile(source: Slip, target: Slip): Promise<void> {
  const [old, place] = [source.dir.at(source.name), target.dir.at(target.name)];
  try {
    await link(old, place);
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK'].includes(errorCode(error))) throw error;
    if (await lstat(place).catch(() => null)) throw new Fault('WRONG_FILE_KIND', alreadyThere(target));
    return rename(old, place);
  }
  await unlink(old);
}

/** Runs `act` on the name that this path ends in, and words what goes wrong. */
async function onParent<T>(door: Door, text: string, act: (slip: Slip) => Promise<T>): Promise<T> {
  const slip = await door.parent(parsePath(text));
  try {
    return await act(slip);
  } catch (error) {
    if (errorCode(error) === 'EEXIST') throw new Fault('WRONG_FILE_KIND', alreadyThere(slip));
    if (errorCode(error) === 'EINVAL')
      throw new Fault('INVALID_PARAMS', `${quote(slip.path)} lies inside of what would be moved.`);
    throw refusal(error, slip.path);
  } finally {
    slip.dir.close();
  }
}

function alreadyThere({ path }: Slip): string {
  return `${quote(path)} is there already. Pass overwrite: true to replace a file.`;
}

/** @throws an error of node:fs */
function look({ dir, name }: Slip): Promise<Stats> {
  return lstat(dir.at(name));
}

function entryOf(stat: Stats, path: string): FileStat {
  return { path, kind: kindOf(stat), size: stat.size, mtimeMs: stat.mtimeMs, mode: stat.mode & PERMISSION_BITS };
}
