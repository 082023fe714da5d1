import { existsSync } from 'node:fs';
import { open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Event, libraryOf, shelf } from './shelf.ts';

const CAST = 'cast_large';

/** Some five megabytes in which each keyframe's screen differs, with commands, pauses and sizes. */
function flood(): Event[] {
  return Array.from({ length: 100 }, (_, n): Event[] => [
    [n * 1000, 'm', `p${n} $ make part ${n}`],
    [n * 1000 + 1, 'r', n % 2 === 0 ? '60x15' : '40x10'],
    [n * 1000 + 2, 'o', `line of part ${n}\r\n`.repeat(3300)],
    [n * 1000 + 3, 'm', `p${n} exited ${n % 3} 3ms`],
  ]).flat();
}

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
  expect((await libraryOf(dir).segment(CAST, last)).snapshot.init).toBe('from the file');
});

test.each([
  ['cut', (text: string) => text.slice(0, -10)],
  ['of another size', (text: string) => text.replace(/"bytes":\d+/, '"bytes":1')],
  ['of too few screens', (text: string) => JSON.stringify({ ...JSON.parse(text), screens: [''] })],
  ['something else', () => '{"version":2}'],
])('kept screens that are %s are not believed', async (_what, change) => {
  const { dir, library, file } = await kept();
  const { segments } = await library.segmentIndex(CAST);
  const last = segments.length - 1;
  const drawn = await library.segment(CAST, last);
  await writeFile(file, change(await readFile(file, 'utf8')));
  expect(await libraryOf(dir).segment(CAST, last)).toEqual(drawn);
});

/** Overwrites its frames, not its header and its seal, with what is no asciicast. */
async function spoil(cast: string): Promise<void> {
  // Whatever it stands in, no line is left of it.
  const file = await open(cast, 'r+');
  const { size } = await file.stat();
  await file.write(Buffer.alloc(size - 8192, '\nx'), 0, size - 8192, 4096);
  await file.close();
}

test('a large recording that was read once is not read again to enter it, by the next gateway either', async () => {
  const { dir, library } = await kept();
  const about = await library.info(CAST);
  expect([about.markers.length, about.markers.at(-1)]).toMatchObject([100, { outcome: 'exited', exitCode: 0 }]);
  const index = await library.segmentIndex(CAST);
  await spoil(join(dir, `${CAST}.cast`));
  const next = libraryOf(dir);
  expect(await next.info(CAST)).toEqual(about);
  expect(await next.segmentIndex(CAST)).toEqual(index);
  // Only what is shown is read, and here that is spoilt.
  await expect(next.seek(CAST, 50)).rejects.toMatchObject({ fault: 'CAST_DAMAGED' });
});

test('a moment of a large recording is the same whether it was kept or is read', async () => {
  const { dir, library, file } = await kept();
  const moments = [0, 0.001, 33.5, 99, 200];
  const wanted = await Promise.all(moments.map((moment) => library.seek(CAST, moment, true)));
  expect(await Promise.all(moments.map((moment) => libraryOf(dir).seek(CAST, moment, true)))).toEqual(wanted);
  await rm(file);
  expect(await Promise.all(moments.map((moment) => libraryOf(dir).seek(CAST, moment, true)))).toEqual(wanted);
});

test('who looks at a large recording beside which nothing is kept has it kept', async () => {
  const { dir, file } = await kept();
  const made = await readFile(file, 'utf8');
  await rm(file);
  const library = libraryOf(dir);
  await library.seek(CAST, 50);
  await expect.poll(() => existsSync(file), { timeout: 10_000 }).toBe(true);
  await library.close();
  expect(await readFile(file, 'utf8')).toBe(made);
});

/** Bytes that this process has read from files and sockets. */
const bytesRead = async (): Promise<number> =>
  Number(/^rchar: (\d+)/m.exec(await readFile('/proc/self/io', 'utf8'))?.[1]);

test('several who come while a recording is read for the first time do not have it read for each', async () => {
  const { dir, file } = await kept();
  await rm(file);
  const { size } = await stat(join(dir, `${CAST}.cast`));
  const library = libraryOf(dir);
  const before = await bytesRead();
  await Promise.all([1, 2, 3, 4, 5, 6].map(() => library.info(CAST)));
  const read = (await bytesRead()) - before;
  await library.close();
  // Once for its places and, as nothing is kept, perhaps a part of it already for its screens.
  expect(read).toBeGreaterThan(size);
  expect(read).toBeLessThan(2.5 * size);
});

test('kept screens go with their recording', async () => {
  const { dir, file } = await kept();
  await rm(join(dir, `${CAST}.cast`));
  expect(await libraryOf(dir).list({ limit: 9 })).toEqual([]);
  await expect(stat(file)).rejects.toMatchObject({ code: 'ENOENT' });
});
