// A directory of its own for each test, and what a recording in it says.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { CastDecoder, type CastItem } from '../../../protocol/asciicast.ts';

const directories: string[] = [];

/** Makes one, removed after the test. */
export async function scratch(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'slotcast-keeper-'));
  directories.push(directory);
  return directory;
}

afterEach(async () => {
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true, force: true });
});

/** Without the links of its chain, which have tests of their own. */
export async function readCast(path: string): Promise<CastItem[]> {
  return [...new CastDecoder().decode(await readFile(path))].filter(({ kind }) => kind !== 'link');
}

/** `[code, data]` of every event. */
export function eventsOf(items: readonly CastItem[]): [string, string][] {
  return items.flatMap((item) => (item.kind === 'event' ? [[item.code, item.data]] : []));
}

export function outputOf(items: readonly CastItem[]): string {
  return items.map((item) => (item.kind === 'event' && item.code === 'o' ? item.data : '')).join('');
}
