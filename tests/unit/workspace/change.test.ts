// Changes to names: each does all or nothing, and never replaces what it was not told to.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, linkSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { expect, test } from 'vitest';
import { makeRoom, nameOf, python } from './room.ts';

test('stat tells kind, size and permission bits', async () => {
  const { workspace, put } = makeRoom();
  chmodSync(put('d/f', '123'), 0o4711);
  expect(await workspace.stat('/workspace/d/f')).toMatchObject({ path: 'd/f', kind: 'file', size: 3, mode: 0o4711 });
  expect(await workspace.stat('.')).toMatchObject({ path: '.', kind: 'dir' });
  expect(await nameOf(workspace.stat('none'))).toBe('FILE_NOT_FOUND');
  expect(await nameOf(workspace.stat('d/none'))).toBe('FILE_NOT_FOUND');
});

test('mkdir makes parents, is content with a directory that is there, and with nothing else', async () => {
  const { workspace, put, at } = makeRoom();
  put('f');
  symlinkSync('.', at('l'));
  await workspace.mkdir('a/b/c');
  await workspace.mkdir('a/b/c/');
  await workspace.mkdir('.');
  expect(statSync(at('a/b/c')).isDirectory()).toBe(true);
  expect(await nameOf(workspace.mkdir('f'))).toBe('WRONG_FILE_KIND');
  expect(await nameOf(workspace.mkdir('f/x'))).toBe('WRONG_FILE_KIND');
  expect(await nameOf(workspace.mkdir('l'))).toBe('PATH_OUTSIDE');
});

test('a directory is removed only with recursive, the workspace itself never', async () => {
  const { workspace, put, at } = makeRoom();
  put('d/f');
  expect(await nameOf(workspace.remove({ path: 'd' }))).toBe('WRONG_FILE_KIND');
  expect(await nameOf(workspace.remove({ path: '.', recursive: true }))).toBe('INVALID_PARAMS');
  expect(await nameOf(workspace.remove({ path: 'none', recursive: true }))).toBe('FILE_NOT_FOUND');
  await workspace.remove({ path: 'd/f' });
  await workspace.remove({ path: 'd', recursive: true });
  expect(existsSync(at('d'))).toBe(false);
});

test('a remove takes names that are no UTF-8, special files and read-only directories', async () => {
  const { workspace, at } = makeRoom();
  const make = `
import os, socket, sys
os.chdir(sys.argv[1])
os.makedirs("t/a/b/c")
os.mkdir(b"t/\\xff")
open(b"t/\\xff/\\xe9", "w").close()
os.mkfifo("t/a/p")
socket.socket(socket.AF_UNIX).bind("t/s")
open("t/a/b/c/f", "w").close()
for d in ("t/a/b/c", "t/a/b", "t/a"): os.chmod(d, 0)
`;
  await python(make, at('.'));
  await workspace.remove({ path: 't', recursive: true });
  expect(existsSync(at('t'))).toBe(false);
});

test('a directory is removed even while a program keeps adding to it by its path', { timeout: 30_000 }, async () => {
  const { workspace, put, at } = makeRoom();
  put('t/d/f');
  const add = `
import os, select, sys
os.chdir(sys.argv[1])
print("ready", flush=True)
n = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    n += 1
    try: os.makedirs(f"t/d{n % 7}/x{n}")
    except OSError: pass
`;
  const adder = spawn('python3', ['-c', add, at('.')], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    await once(adder.stdout, 'data');
    await workspace.remove({ path: 't', recursive: true });
  } finally {
    adder.stdin.end();
    await once(adder, 'close');
  }
  await workspace.mkdir('t');
  await workspace.remove({ path: 't', recursive: true });
  expect(readdirSync(at('.'))).toEqual([]);
});

test('a move replaces a file only with overwrite', async () => {
  const { workspace, put, at } = makeRoom();
  put('a', 'A');
  put('b', 'B');
  expect(await nameOf(workspace.move({ from: 'a', to: 'b' }))).toBe('WRONG_FILE_KIND');
  expect([readFileSync(at('a'), 'utf8'), readFileSync(at('b'), 'utf8')]).toEqual(['A', 'B']);
  await workspace.move({ from: 'a', to: 'b', overwrite: true });
  expect([existsSync(at('a')), readFileSync(at('b'), 'utf8')]).toEqual([false, 'A']);
  await workspace.move({ from: 'b', to: 'c' });
  expect([existsSync(at('b')), readFileSync(at('c'), 'utf8'), statSync(at('c')).nlink]).toEqual([false, 'A', 1]);
});

test('a directory moves whole, onto nothing but a free name', async () => {
  const { workspace, put, at } = makeRoom();
  put('d/f', 'x');
  put('e/g', 'y');
  mkdirSync(at('empty'));
  put('file');
  for (const to of ['e', 'empty', 'file']) {
    expect(await nameOf(workspace.move({ from: 'd', to })), to).toBe('WRONG_FILE_KIND');
  }
  for (const to of ['e', 'file']) {
    expect(await nameOf(workspace.move({ from: 'd', to, overwrite: true })), to).toBe('WRONG_FILE_KIND');
  }
  await workspace.move({ from: 'd', to: 'e/d' });
  expect(readFileSync(at('e/d/f'), 'utf8')).toBe('x');
});

test('a move that makes no sense is refused and leaves nothing behind', async () => {
  const { workspace, put, at } = makeRoom();
  put('d/f', 'x');
  put('g');
  expect(await nameOf(workspace.move({ from: 'd', to: 'd/sub' }))).toBe('INVALID_PARAMS');
  expect(existsSync(at('d/sub'))).toBe(false);
  expect(await nameOf(workspace.move({ from: '.', to: 'x' }))).toBe('INVALID_PARAMS');
  expect(await nameOf(workspace.move({ from: 'g', to: '.' }))).toBe('WRONG_FILE_KIND');
  expect(await nameOf(workspace.move({ from: 'g', to: 'new/' }))).toBe('WRONG_FILE_KIND');
  expect(await nameOf(workspace.move({ from: 'g', to: '../slot_1/g' }))).toBe('PATH_OUTSIDE');
  expect(await nameOf(workspace.move({ from: 'none', to: 'x' }))).toBe('FILE_NOT_FOUND');
  expect(await nameOf(workspace.move({ from: 'g', to: 'no/x' }))).toBe('FILE_NOT_FOUND');
  expect(await nameOf(workspace.move({ from: 'd', to: 'g', overwrite: true }))).toBe('WRONG_FILE_KIND');
});

test('of two moves to one name at the same time, one is refused and no content is lost', async () => {
  const { workspace, put, at } = makeRoom();
  for (let n = 0; n < 20; n += 1) {
    put(`a${n}`, 'A');
    put(`b${n}`, 'B');
    const moves = [workspace.move({ from: `a${n}`, to: `c${n}` }), workspace.move({ from: `b${n}`, to: `c${n}` })];
    const results = await Promise.allSettled(moves);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const left = existsSync(at(`a${n}`)) ? 'A' : 'B';
    expect(new Set([left, readFileSync(at(`c${n}`), 'utf8')])).toEqual(new Set(['A', 'B']));
  }
});

test('a write replaces one name of a hard link and leaves the other', async () => {
  const { workspace, put, at } = makeRoom();
  linkSync(put('a', 'old'), at('b'));
  await workspace.write({ path: 'a', data: 'new' });
  expect([readFileSync(at('a'), 'utf8'), readFileSync(at('b'), 'utf8')]).toEqual(['new', 'old']);
});
