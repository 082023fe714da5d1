// Files that are there whole or not at all: a full disk, a crash or a power cut leaves the content from before, and no draft that stays.
// It never writes into a file that somebody may read.
import { randomBytes } from 'node:crypto';
import { link, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** What these files hold is for the gateway's own user. */
const OWNER_ONLY = 0o600;
/** Behind the name of the file: twelve random digits, so that two writers do not meet, and this. */
const DRAFT = /\.[0-9a-f]{12}\.draft$/;
/** Nobody writes a draft for so long; what is older was left by who died in the middle of it. */
const ABANDONED_MS = 60_000;

/** Replaces the file, or makes it. When it rejects, nothing was changed. */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  await withDraft(path, content, async (draft) => await rename(draft, path));
}

/** Makes the file; false when it is there already, which is left as it is. */
export async function createFile(path: string, content: string | Uint8Array): Promise<boolean> {
  return await withDraft(path, content, async (draft) => {
    try {
      await link(draft, path);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    }
  });
}

/** Removes the drafts in a directory whose writers died. */
export async function removeDrafts(directory: string, olderThanMs = ABANDONED_MS): Promise<void> {
  for (const name of await readdir(directory).catch(() => [])) {
    const path = join(directory, name);
    if (!DRAFT.test(name)) continue;
    const found = await stat(path).catch(() => null);
    if (found?.isFile() && Date.now() - found.mtimeMs >= olderThanMs) await rm(path, { force: true }).catch(() => {});
  }
}

async function withDraft<T>(path: string, content: string | Uint8Array, publish: (draft: string) => Promise<T>) {
  const draft = join(dirname(path), `${basename(path)}.${randomBytes(6).toString('hex')}.draft`);
  try {
    const file = await open(draft, 'wx', OWNER_ONLY);
    try {
      await file.writeFile(content);
      // Before the name leads to it: else a power cut could leave the name without the content.
      await file.sync();
    } finally {
      await file.close();
    }
    const published = await publish(draft);
    await syncDirectory(dirname(path));
    return published;
  } finally {
    // A rename has taken it away already.
    await rm(draft, { force: true }).catch(() => {});
  }
}

/** The name is as durable as the content then. Some file systems know no such call, and need none. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r').catch(() => null);
  await directory?.sync().catch(() => {});
  await directory?.close();
}
