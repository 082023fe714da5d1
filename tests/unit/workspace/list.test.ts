// Listing: what is there, in order and bounded.
import { mkdirSync, symlinkSync } from 'node:fs';
import { expect, test } from 'vitest';
import { longestStall, makeRoom, nameOf, openDescriptors, python } from './room.ts';

test('a directory is listed by path with kinds and sizes; a link is an entry and never entered', async () => {
  const { workspace, put, at, outside } = makeRoom();
  put('b/x', '12345');
  put('a', '1');
  put('b.txt');
  symlinkSync(outside, at('l'));
  symlinkSync('.', at('loop'));
  await python('import os,sys; os.mkfifo(sys.argv[1])', at('p'));
  const flat = await workspace.list();
  expect(flat.entries.map(({ path, kind }) => [path, kind])).toEqual([
    ['a', 'file'],
    ['b', 'dir'],
    ['b.txt', 'file'],
    ['l', 'symlink'],
    ['loop', 'symlink'],
    ['p', 'other'],
  ]);
  const deep = await workspace.list({ recursive: true });
  expect(deep.entries.map(({ path }) => path)).toEqual(['a', 'b', 'b.txt', 'b/x', 'l', 'loop', 'p']);
  const sub = await workspace.list({ path: '/workspace/b/' });
  expect(sub).toMatchObject({ entries: [{ path: 'b/x', kind: 'file', size: 5 }], truncated: false });
});

test('what cannot be listed is a fault', async () => {
  const { workspace, put } = makeRoom();
  put('f');
  expect(await nameOf(workspace.list({ path: 'f' }))).toBe('WRONG_FILE_KIND');
  expect(await nameOf(workspace.list({ path: 'none' }))).toBe('FILE_NOT_FOUND');
  expect(await nameOf(workspace.list({ path: '../slot_1' }))).toBe('PATH_OUTSIDE');
});

test('a listing ends at its limit and says so; exactly the limit is not truncated', async () => {
  const { workspace, put, at } = makeRoom();
  for (let n = 0; n < 10; n += 1) put(`d${n % 2}/f${n}`);
  expect(await workspace.list({ recursive: true, maxEntries: 12 })).toMatchObject({ truncated: false });
  const cut = await workspace.list({ recursive: true, maxEntries: 11 });
  expect([cut.entries.length, cut.truncated]).toEqual([11, true]);
  mkdirSync(at('empty'));
  expect(await workspace.list({ path: 'empty', maxEntries: 1 })).toEqual({ entries: [], truncated: false });
});

test('names that are no UTF-8 are listed with U+FFFD', async () => {
  const { workspace, at } = makeRoom();
  await python(
    'import os,sys; os.chdir(sys.argv[1]); open(b"\\xff\\xe9x","w"); os.mkdir(b"d\\xff"); open(b"d\\xff/y","w")',
    at('.'),
  );
  const { entries } = await workspace.list({ recursive: true });
  expect(entries.map(({ path }) => path).sort()).toEqual(['d\uFFFD', 'd\uFFFD/y', '\uFFFD\uFFFDx'].sort());
});

/** A comb: each level has a directory beside the one that leads on, so the walk must come back to every level. */
const COMB = `
import os, sys
os.chdir(sys.argv[1])
for n in range(int(sys.argv[2])):
    os.mkdir("b")
    open("b/f", "w").close()
    os.mkdir("a")
    os.chdir("a")
`;

test('a tree of 1900 levels is walked to its end and back with few descriptors', { timeout: 30_000 }, async () => {
  const { workspace, at } = makeRoom();
  await python(COMB, at('.'), '1900');
  const before = openDescriptors();
  let most = 0;
  const timer = setInterval(() => {
    most = Math.max(most, openDescriptors());
  }, 5);
  const { entries, truncated } = await workspace.list({ recursive: true, maxEntries: 100_000 });
  clearInterval(timer);
  expect([entries.length, truncated]).toEqual([1900 * 3, false]);
  expect(most - before).toBeLessThan(100);
});

test('what lies deeper than any path can name is left out and told', { timeout: 30_000 }, async () => {
  const { workspace, at } = makeRoom();
  await python(COMB, at('.'), '2100');
  const { entries, truncated } = await workspace.list({ recursive: true, maxEntries: 100_000 });
  expect(truncated).toBe(true);
  expect(Math.max(...entries.map(({ path }) => path.length))).toBeLessThanOrEqual(4095);
  await workspace.remove({ path: 'a', recursive: true });
  await workspace.remove({ path: 'b', recursive: true });
  expect((await workspace.list()).entries).toEqual([]);
});

test('20,000 files are listed and removed while the event loop runs on', { timeout: 60_000 }, async () => {
  const { workspace, at } = makeRoom();
  await python('import os,sys\nos.chdir(sys.argv[1])\nfor n in range(20000): open(f"{n}","w").close()', at('.'));
  const listed = await longestStall(workspace.list({ maxEntries: 100_000 }));
  expect(listed.result.entries).toHaveLength(20_000);
  expect(listed.stallMs).toBeLessThan(100);
  await workspace.mkdir('other');
  await python('import os,sys\nos.chdir(sys.argv[1])\nfor n in range(20000): os.rename(f"{n}",f"other/{n}")', at('.'));
  expect((await longestStall(workspace.remove({ path: 'other', recursive: true }))).stallMs).toBeLessThan(100);
});
