// A small JSON file beside a cast, with what was learned from it. Read without following links and within a bound; written whole or not at all.
// What is read may be damaged or old: who reads it checks it.
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { replaceFile } from '../atomic-file.ts';

/** null when it isn't there, is too large or no JSON. */
export async function readSidecar(path: string, maxBytes: number): Promise<unknown> {
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const { size } = await handle.stat();
      if (size > maxBytes) return null;
      const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(size), 0, size, 0);
      return JSON.parse(buffer.toString('utf8', 0, bytesRead));
    } finally {
      await handle.close();
    }
  } catch {
    return null;
  }
}

export async function writeSidecar(path: string, value: unknown): Promise<void> {
  await replaceFile(path, JSON.stringify(value));
}
