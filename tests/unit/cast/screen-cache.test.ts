import { existsSync } from 'node:fs';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Library } from '../../../server/cast/library.ts';
import { type Event, shelf } from './shelf.ts';

const CAST = 'cast_large';

/** Some five megabytes in which each keyframe's screen differs. */
function flood(): Event[] {
  return Array.from({ length: 100 }, (_, n): Event => [n * 1000, 'o', `${`line of part ${n}\r\n`.repeat(3300)}`]);
}

const again = (dir: string) => new Library({ dir, live: () => null });

async function kept() {
  const { dir, library, put } = await shelf();
  await put({ cast: CAST }, flood());
  const file = join(dir, `${CAST}.screens`);
  library.sealed(CAST);
  await expect.poll(() => existsSync(file), { timeout: 10_000 }).toBe(true);
  return { dir, library, file };
}

test('the screens of a large recording are kept when it is sealed, and its end is entered by them', async () => {
  const { dir, file, library } = await kept();
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const { segments } = await library.segmentIndex(CAST);
  const last = segments.length - 1;
  const drawn = await library.segment(CAST, last);
  const said = JSON.parse(await readFile(file, 'utf8'));
  expect(said.screens).toHaveLength(segments.length);
  expect(said.screens[last]).toBe(drawn.snapshot.init);
  // What is in the file is what is shown: nothing before it was drawn.
  await writeFile(file, JSON.stringify({ ...said, screens: said.screens.map(() => 'from the file') }));
  expect((await again(dir).segment(CAST, last)).snapshot.init).toBe('from the file');
});

test.each([
  ['cut', (text: string) => text.slice(0, -10)],
  ['of another size', (text: string) => text.replace(/"bytes":\d+/, '"bytes":1')],
  ['of too few screens', (text: string) => JSON.stringify({ ...JSON.parse(text), screens: [''] })],
  ['something else', () => '{"version":1}'],
])('kept screens that are %s are not believed', async (_what, change) => {
  const { dir, library, file } = await kept();
  const { segments } = await library.segmentIndex(CAST);
  const last = segments.length - 1;
  const drawn = await library.segment(CAST, last);
  await writeFile(file, change(await readFile(file, 'utf8')));
  expect(await again(dir).segment(CAST, last)).toEqual(drawn);
});

test('kept screens go with their recording', async () => {
  const { dir, file } = await kept();
  await rm(join(dir, `${CAST}.cast`));
  expect(await again(dir).list({ limit: 9 })).toEqual([]);
  await expect(stat(file)).rejects.toMatchObject({ code: 'ENOENT' });
});
