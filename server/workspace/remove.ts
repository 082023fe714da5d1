// Takes away a directory with all below it, however deep and however much of it is being changed meanwhile.
// Must never follow a link, recurse, or work by a path of more than one name.

import { randomBytes } from 'node:crypto';
import { chmod, rename, rmdir, unlink } from 'node:fs/promises';
import { geteuid } from 'node:process';
import { Fault } from '../../protocol/fault.ts';
import type { Slip } from './door.ts';
import { quote } from './path.ts';
import { ENTER, entriesOf, open, Pin } from './pin.ts';
import { errorCode, refusal } from './refusal.ts';

/** Millions of files are gone by then; only a program that keeps adding through a descriptor of its own can make it last longer. */
const MAX_MS = 120_000;
/** Enough to keep the thread pool busy. */
const REMOVED_AT_ONCE = 32;
/** 96 bits: a payload cannot be there first. */
const NAME_BYTES = 12;
/** What an owner needs to empty a directory. */
const OWN_DIRECTORY = 0o700;
/** Something was added, replaced or taken away meanwhile, or a name did not fit before others are gone: the next round sees. */
const NEXT_ROUND: ReadonlySet<string> = new Set([
  'ENOENT',
  'ENOTDIR',
  'EISDIR',
  'ENOTEMPTY',
  'EEXIST',
  'ENOSPC',
  'EDQUOT',
]);

/**
 * The tree first gets a name that nobody knows, so that its path is free at once and programs that add to it by path end up elsewhere.
 * Then it is made flat: what is in a subdirectory is unlinked, and its own subdirectories are moved up beside it, so that every directory
 * is emptied from one level. When it cannot be finished, what is left gets its name back.
 */
export async function removeTree({ dir, name, path }: Slip): Promise<void> {
  const aside = dir.at(secretName());
  await rename(dir.at(name), aside);
  const top = await enter(aside);
  if (top === null) return removeSwapped({ dir, name, path }, aside);
  try {
    await removeInRounds(top, { aside, path });
  } catch (error) {
    await rename(aside, dir.at(name)).catch(() => undefined);
    throw refusal(error, path);
  } finally {
    top.close();
  }
}

/** A program put a link or file in the place of the directory before it got its new name: that is what has the path, so that is removed. */
async function removeSwapped({ dir, name, path }: Slip, aside: string): Promise<void> {
  try {
    await unlink(aside);
  } catch (error) {
    await rename(aside, dir.at(name)).catch(() => undefined);
    throw refusal(error, path);
  }
}

async function removeInRounds(top: Pin, { aside, path }: { aside: string; path: string }): Promise<void> {
  const deadline = performance.now() + MAX_MS;
  while (performance.now() < deadline) {
    const found = await eachEntry(top, (name, isDirectory) =>
      isDirectory ? emptyInto(top, name) : removeName(top, name),
    );
    if (found === 0 && (await removeEmpty(aside))) return;
  }
  throw new Fault('SLOT_BUSY', `${quote(path)} keeps getting new entries from programs of the slot. Stop them first.`);
}

/** false when something came into it since it was found empty: a write of ours that was on its way, or a program that works in there. */
function removeEmpty(path: string): Promise<boolean> {
  return rmdir(path).then(
    () => true,
    (error: unknown) => {
      if (errorCode(error) === 'ENOTEMPTY' || errorCode(error) === 'EEXIST') return false;
      throw error;
    },
  );
}

/** Empties one subdirectory of `top`, moving its own subdirectories up into `top`, and removes it. */
async function emptyInto(top: Pin, name: string): Promise<void> {
  const sub = await enter(top.atBytes(name));
  if (sub === null) return;
  try {
    await eachEntry(sub, (child, isDirectory) => (isDirectory ? moveUp(sub, child, top) : removeName(sub, child)));
    await rmdir(top.atBytes(name));
  } catch (error) {
    if (!NEXT_ROUND.has(errorCode(error))) throw error;
  } finally {
    sub.close();
  }
}

async function moveUp(sub: Pin, child: string, top: Pin): Promise<void> {
  // An ordinary user cannot move a read-only directory, not even an own one; root can.
  if (geteuid?.() !== 0) (await enter(sub.atBytes(child)))?.close();
  await rename(sub.atBytes(child), top.at(secretName()));
}

function secretName(): string {
  return `.${randomBytes(NAME_BYTES).toString('hex')}.gone`;
}

async function removeName(dir: Pin, name: string): Promise<void> {
  await unlink(dir.atBytes(name)).catch((error: unknown) => {
    if (!NEXT_ROUND.has(errorCode(error))) throw error;
  });
}

/**
 * Calls `act` for every name (bytes in a latin1 string), some at a time; says how many there were. Nothing of it runs any more when it
 * returns or throws: a call in flight names a descriptor by its number.
 */
async function eachEntry(dir: Pin, act: (name: string, isDirectory: boolean) => Promise<void>): Promise<number> {
  let found = 0;
  let running: Promise<void>[] = [];
  try {
    for await (const entry of await entriesOf(dir)) {
      found += 1;
      running.push(act(entry.name, entry.isDirectory()));
      if (running.length < REMOVED_AT_ONCE) continue;
      await settle(running);
      running = [];
    }
  } finally {
    await settle(running);
  }
  return found;
}

async function settle(running: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(running)) if (result.status === 'rejected') throw result.reason;
}

/** Pins a directory so that it can be emptied; null when it is gone or no directory any more. */
async function enter(path: string | Buffer): Promise<Pin | null> {
  const fd = await open(path, ENTER).catch(() => null);
  if (fd === null) return null;
  const pin = new Pin(fd);
  const mine = geteuid?.() === 0 || (pin.stat().mode & OWN_DIRECTORY) === OWN_DIRECTORY;
  if (!mine) await chmod(pin.path, OWN_DIRECTORY).catch(() => undefined);
  return pin;
}
