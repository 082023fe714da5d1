// The directories of a slot on this host. What a payload left there is hostile: nothing here follows a link or walks a tree by itself.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, readdir, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Identity, SlotPlace } from './keeper.ts';

const run = promisify(execFile);

/** First user id that slots get under root: above what useradd, systemd's dynamic users and subuid ranges of the first users take. */
export const UID_BASE = 210_000;

/** A listing of it isn't anybody's business, but a slot's user must get through. */
const PASS_THROUGH = 0o711;

export interface PlaceOptions {
  readonly dataDir: string;
  readonly slot: string;
  /** The slot's number: its user id is uidBase + index. */
  readonly index: number;
  readonly uidBase?: number;
}

/** Makes dataDir/slots/SLOT/{workspace,tmp,spool,drafts}. Under root the first two belong to the slot's own user, else to the gateway's. Throws an Error that says which directory the slot's user can't get through. */
export async function preparePlace({ dataDir, slot, index, uidBase = UID_BASE }: PlaceOptions): Promise<SlotPlace> {
  const identity = process.getuid?.() === 0 ? { uid: uidBase + index, gid: uidBase + index } : null;
  const home = join(dataDir, 'slots', slot);
  await mkdir(home, { recursive: true, mode: PASS_THROUGH });
  if (identity !== null) await letThrough([home, dirname(home), dataDir], identity);
  const place = {
    slot,
    workspace: join(home, 'workspace'),
    tmp: join(home, 'tmp'),
    spool: join(home, 'spool'),
    drafts: join(home, 'drafts'),
    identity,
  };
  await Promise.all([own(place.workspace, identity), own(place.tmp, identity), own(place.drafts, null)]);
  await shareWith(place.spool, identity);
  return place;
}

/** Empties workspace and /tmp. Nothing of the slot may run any more. Old trees are put aside first, so that the place is new even if deleting one fails. */
export async function emptyPlace(place: SlotPlace): Promise<void> {
  const { workspace, tmp, drafts, identity } = place;
  await Promise.all([renew(workspace, identity), renew(tmp, identity), renew(drafts, null)]);
  const home = dirname(place.workspace);
  // Also what a gateway that was killed had put aside.
  const old = (await readdir(home)).filter((name) => name.includes('.old-')).map((name) => join(home, name));
  const scripts = (await readdir(place.spool)).map((name) => join(place.spool, name));
  await Promise.all([...old, ...scripts].map(removeTree));
}

async function renew(dir: string, identity: Identity | null): Promise<void> {
  const aside = `${dir}.old-${randomBytes(6).toString('hex')}`;
  await rename(dir, aside);
  await own(dir, identity);
}

async function own(dir: string, identity: Identity | null): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  if (identity !== null) await chown(dir, identity.uid, identity.gid);
  await chmod(dir, 0o700);
}

/** The gateway's own directory, through which the slot's user gets to what it knows the names of, and no other user of the host does: scripts may hold secrets. */
async function shareWith(dir: string, identity: Identity | null): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  if (identity !== null) await chown(dir, process.getuid?.() ?? 0, identity.gid);
  await chmod(dir, identity === null ? 0o700 : 0o710);
}

/** rm walks by descriptors: no depth is too deep, no link is followed. Deletes a tree that holds directories without permissions too. */
export async function removeTree(dir: string): Promise<void> {
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C' };
  const remove = () => run('rm', ['-rf', '--one-file-system', '--', dir], { env });
  try {
    await remove();
  } catch {
    // As an ordinary user: directories that the payload shut. One process for all of them, since there may be a hundred thousand; it opens each
    // before it enters it, walks by descriptors as rm does, and follows no link in the tree.
    await run('chmod', ['-R', 'u+rwx', '--', dir], { env }).catch(() => {});
    await remove();
  }
}

/** Directories of ours are opened for passing through; those above are the operator's, and only looked at. */
async function letThrough(ours: readonly string[], identity: Identity): Promise<void> {
  for (const dir of ours) {
    const { mode } = await stat(dir);
    if ((mode & PASS_THROUGH) !== PASS_THROUGH) await chmod(dir, (mode & 0o7777) | PASS_THROUGH);
  }
  const top = ours.at(-1) ?? '/';
  for (let dir = dirname(top); ; dir = dirname(dir)) {
    if (!passable(await stat(dir), identity)) {
      throw new Error(
        `The user id ${identity.uid} of a slot can't get through ${dir}, in which the data directory lies. Run chmod o+x ${dir}, or choose another --data-dir.`,
      );
    }
    if (dir === dirname(dir)) return;
  }
}

function passable(dir: { mode: number; uid: number; gid: number }, { uid, gid }: Identity): boolean {
  if (dir.uid === uid) return (dir.mode & 0o100) !== 0;
  if (dir.gid === gid) return (dir.mode & 0o010) !== 0;
  return (dir.mode & 0o001) !== 0;
}
