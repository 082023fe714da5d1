// Files that only the gateway's user may read: made once, kept 0600, replaced whole. Their content goes nowhere else.
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createFile, replaceFile } from '../atomic-file.ts';

const OWNER_ONLY = 0o600;

/** The file's content, or null when there is no such file. Others lose the right to read it. */
export async function readSecret(path: string): Promise<Buffer | null> {
  try {
    const content = await readFile(path);
    await chmod(path, OWNER_ONLY);
    return content;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** What the file holds; made with this content when it is not there. Two gateways that start at once end up with one. */
export async function readOrMakeSecret(path: string, make: () => Promise<Buffer> | Buffer): Promise<Buffer> {
  const known = await readSecret(path);
  if (known !== null) return known;
  const content = await make();
  await mkdir(dirname(path), { recursive: true });
  return (await createFile(path, content)) ? content : await readFile(path);
}

/** Replaces the file, whole or not at all. */
export async function writeSecret(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await replaceFile(path, content);
}
