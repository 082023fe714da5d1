import { appendFile, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CastEncoder } from '../../../protocol/asciicast.ts';
import { Library } from '../../../server/cast/library.ts';
import { castText, type Event, shelf } from './shelf.ts';

const commands = (...texts: string[]): Event[] =>
  texts.flatMap((text, index): Event[] => [
    [index, 'm', `p${index + 1} $ ${text}`],
    [index, 'm', `p${index + 1} exited ${index} 1ms`],
  ]);

const again = (dir: string) => new Library({ dir, live: () => null });

test('every word of a search has to be in slot, label or a command', async () => {
  const { library, put } = await shelf();
  await put(
    { cast: 'cast_a', slot: 'slot_1', label: 'Überprüfung', startedAt: 1000 },
    commands('npm test', 'GIT push'),
  );
  await put({ cast: 'cast_b', slot: 'slot_2', label: null, startedAt: 2000 }, commands('npm run build'));
  const found = async (search: string) => (await library.list({ limit: 9, search })).map(({ cast }) => cast);
  expect(await found('npm')).toEqual(['cast_b', 'cast_a']);
  expect(await found('test  push\tnpm')).toEqual(['cast_a']);
  expect(await found('ÜBERPRÜFUNG git')).toEqual(['cast_a']);
  expect(await found('slot_2 build')).toEqual(['cast_b']);
  expect(await found('test build')).toEqual([]);
  expect(await found('.*')).toEqual([]);
  expect(await found('')).toHaveLength(2);
});

test('a live recording is found by a command as soon as it has begun', async () => {
  const { library, put } = await shelf({ cast_live: { durationMs: 5000 } });
  const path = await put({ cast: 'cast_live', sealed: false }, commands('one'));
  expect(await library.list({ limit: 9, search: 'two' })).toEqual([]);
  await appendFile(path, new CastEncoder(3, 0).encode({ timeMs: 5, code: 'm', data: 'p2 $ Two' }));
  expect(await library.list({ limit: 9, search: 'two' })).toMatchObject([{ commands: 2, failed: 0, live: true }]);
});

test('a sealed recording is parsed once: what its digest says is believed after a restart, as long as it fits', async () => {
  const { dir, library, put } = await shelf();
  const path = await put({ cast: 'cast_a' }, commands('ok', 'bad', 'worse'));
  expect(await library.list({ limit: 9 })).toMatchObject([{ commands: 3, failed: 2 }]);
  const digest = join(dir, 'cast_a.digest');
  const kept = JSON.parse(await readFile(digest, 'utf8'));
  expect(kept).toEqual({ version: 1, bytes: (await stat(path)).size, failed: 2, text: 'ok\nbad\nworse' });
  expect((await stat(digest)).mode & 0o777).toBe(0o600);
  await writeFile(digest, JSON.stringify({ ...kept, failed: 77 }));
  expect(await again(dir).list({ limit: 9 })).toMatchObject([{ failed: 77 }]);
  await writeFile(digest, JSON.stringify({ ...kept, failed: 77, bytes: kept.bytes - 1 }));
  expect(await again(dir).list({ limit: 9 })).toMatchObject([{ failed: 2 }]);
});

test.each([
  ['no JSON', '{"version":1,'],
  ['of another version', '{"version":2,"bytes":0,"failed":9,"text":""}'],
  ['of other types', '{"version":1,"bytes":"0","failed":9,"text":[]}'],
  ['far too large', 'x'.repeat(3_000_000)],
])('a digest that is %s is made anew', async (_what, text) => {
  const { dir, put } = await shelf();
  await put({ cast: 'cast_a' }, commands('ok', 'bad'));
  const digest = join(dir, 'cast_a.digest');
  await writeFile(digest, text);
  expect(await again(dir).list({ limit: 9, search: 'bad' })).toMatchObject([{ failed: 1 }]);
  expect(JSON.parse(await readFile(digest, 'utf8'))).toMatchObject({ failed: 1, text: 'ok\nbad' });
});

test('a digest is neither read nor written through a link', async () => {
  const { dir, put } = await shelf();
  await put({ cast: 'cast_a' }, commands('ok'));
  const outside = join(dir, 'outside');
  await writeFile(outside, 'as it was');
  await symlink(outside, join(dir, 'cast_a.digest'));
  await symlink(outside, join(dir, 'cast_a.digest.new'));
  expect(await again(dir).list({ limit: 9 })).toMatchObject([{ failed: 0 }]);
  expect(await readFile(outside, 'utf8')).toBe('as it was');
});

test('a digest that can not be written is no reason to fail', async () => {
  const { dir, library, put } = await shelf();
  await put({ cast: 'cast_a' }, commands('ok', 'bad'));
  await mkdir(join(dir, 'cast_a.digest.new'));
  expect(await library.list({ limit: 9, search: 'bad' })).toMatchObject([{ failed: 1 }]);
});

test('recordings that are there at the start get their digests in the background, and close waits for the one on its way', async () => {
  const { dir, library, put } = await shelf();
  for (const cast of ['cast_a', 'cast_b']) await put({ cast }, commands('ok'));
  library.catchUp();
  await expect.poll(() => readdir(dir)).toEqual(expect.arrayContaining(['cast_a.digest', 'cast_b.digest']));
  await put({ cast: 'cast_c' }, commands('ok'));
  library.sealed('cast_c');
  await library.close();
  library.sealed('cast_a');
  await library.close();
  expect((await readdir(dir)).filter((name) => name.endsWith('.new'))).toEqual([]);
});

test('a recording that is removed leaves the list, and its digest the disk', async () => {
  const { dir, library, put } = await shelf();
  const path = await put({ cast: 'cast_a' }, commands('ok'));
  await put({ cast: 'cast_b' }, commands('ok'));
  expect(await library.list({ limit: 9, search: 'ok' })).toHaveLength(2);
  await rm(path);
  expect(await library.list({ limit: 9, search: 'ok' })).toHaveLength(1);
  expect((await readdir(dir)).sort()).toEqual(['cast_b.cast', 'cast_b.digest']);
});

test('a recording that is damaged in its middle is listed with what can be read of it', async () => {
  const { dir, library } = await shelf();
  const text = castText({ cast: 'cast_a' }, commands('ok', 'bad'));
  await writeFile(join(dir, 'cast_a.cast'), text.replace('[0.000, "m", "p2 exited', '[broken "p2 exited'));
  expect(await library.list({ limit: 9, search: 'bad' })).toMatchObject([{ commands: 2, failed: 1 }]);
});
