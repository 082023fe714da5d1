// What is kept beside a recording is a cache: cut at any byte it is made anew, and on a full disk it is done without.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readSidecar, writeSidecar } from '../../../server/cast/sidecar.ts';
import { smallDisk } from '../../support/small-disk.ts';
import { castText, directory, type Event, libraryOf, shelf } from './shelf.ts';

const ABOUT = { cast: 'cast_1', label: 'nightly' };
const EVENTS: Event[] = [
  [10, 'm', 'p1 $ make Test'],
  [20, 'o', 'no\r\n'],
  [30, 'm', 'p1 exited 2 20ms'],
];

test('a digest that was cut at any byte is made anew, and lists and searches are the same', async () => {
  const { dir, put } = await shelf();
  await put(ABOUT, EVENTS);
  const first = await libraryOf(dir).list({ limit: 10 });
  expect(first).toMatchObject([{ cast: 'cast_1', failed: 1 }]);
  const path = join(dir, 'cast_1.digest');
  const whole = readFileSync(path);
  for (let bytes = 0; bytes < whole.length; bytes++) {
    writeFileSync(path, whole.subarray(0, bytes));
    const library = libraryOf(dir);
    expect(await library.list({ limit: 10, search: 'make test' }), `cut at ${bytes}`).toEqual(first);
    await library.close();
    expect(readFileSync(path).equals(whole), `cut at ${bytes}`).toBe(true);
  }
});

test('a file beside a recording that was cut at any byte is none', async () => {
  const path = join(await directory(), 'cast_1.screens');
  await writeSidecar(path, { version: 1, bytes: 12, screens: ['', '\u001b[1mü漢😀', 'x'] });
  const whole = readFileSync(path);
  expect(await readSidecar(path, 1000)).toMatchObject({ version: 1 });
  for (let bytes = 0; bytes < whole.length; bytes++) {
    writeFileSync(path, whole.subarray(0, bytes));
    expect(await readSidecar(path, 1000), `cut at ${bytes}`).toBeNull();
  }
});

test('kept screens that were cut are drawn anew', async () => {
  const { dir, put } = await shelf();
  const events = Array.from({ length: 90 }, (_, n): Event => [n * 1000, 'o', `${n} ${'y'.repeat(60_000)}\r\n`]);
  await put(ABOUT, events);
  const keeps = libraryOf(dir);
  keeps.sealed('cast_1');
  await expect.poll(() => readdirSync(dir), { timeout: 30_000 }).toContain('cast_1.screens');
  const wanted = await keeps.seek('cast_1', 80, true);
  await keeps.close();
  const path = join(dir, 'cast_1.screens');
  const whole = readFileSync(path);
  for (const bytes of [0, 1, whole.length >> 1, whole.length - 1]) {
    writeFileSync(path, whole.subarray(0, bytes));
    expect(await libraryOf(dir).seek('cast_1', 80, true)).toEqual(wanted);
  }
}, 60_000);

test('on a full disk recordings are listed, searched and shown all the same, and nothing is left half written', async (context) => {
  const disk = smallDisk(context, 2);
  const text = `make ${'x'.repeat(100_000)}`;
  const events: Event[] = [[10, 'm', `p1 $ ${text}`], ...EVENTS.slice(1)];
  writeFileSync(join(disk.path, 'cast_1.cast'), castText(ABOUT, events));
  disk.fill();
  const library = libraryOf(disk.path);
  library.catchUp();
  expect(await library.list({ limit: 10, search: 'nightly make' })).toMatchObject([{ cast: 'cast_1', failed: 1 }]);
  expect((await library.info('cast_1')).markers).toHaveLength(1);
  await library.close();
  expect(readdirSync(disk.path).sort()).toEqual(['ballast', 'cast_1.cast']);
  disk.free();
  const later = libraryOf(disk.path);
  await later.list({ limit: 10 });
  expect(readdirSync(disk.path).sort()).toEqual(['cast_1.cast', 'cast_1.digest']);
});
