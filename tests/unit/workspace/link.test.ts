// Symbolic links that a payload leaves behind or swaps in: no file call ever arrives on the other side.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { Fault } from '../../../protocol/fault.ts';
import { faultOf, makeRoom, nameOf, type Room, SECRET } from './room.ts';

function withLinks(): Room {
  const room = makeRoom();
  symlinkSync('/etc/passwd', room.at('file'));
  symlinkSync(room.outside, room.at('dir'));
  symlinkSync('plain', room.at('inside'));
  symlinkSync('nowhere', room.at('dangling'));
  room.put('plain', 'p');
  return room;
}

test.each(['file', 'dir/secret.txt', 'inside', 'dangling', 'dir'])(
  'reading %s is PATH_OUTSIDE, wherever the link leads',
  async (path) => {
    const { workspace } = withLinks();
    expect(await nameOf(workspace.read({ path }))).toBe('PATH_OUTSIDE');
    expect(await nameOf(workspace.openRead(path))).toBe('PATH_OUTSIDE');
    expect(await nameOf(workspace.archive({ path }))).toBe('PATH_OUTSIDE');
  },
);

test('the fault names the link as the caller wrote it and says what to do', async () => {
  const { workspace } = withLinks();
  const fault = await faultOf(workspace.read({ path: '/workspace/dir/secret.txt' }));
  expect(fault.message).toBe('"dir" is a symbolic link, and file calls never follow one. Name the file itself.');
});

test('nothing is listed, made, written, removed or moved through a link to a directory', async () => {
  const { workspace, outside, at } = withLinks();
  const calls = [
    () => workspace.list({ path: 'dir' }),
    () => workspace.mkdir('dir/new'),
    () => workspace.mkdir('dir'),
    () => workspace.write({ path: 'dir/new', data: 'x' }),
    () => workspace.write({ path: 'dir/sub/new', data: 'x' }),
    () => workspace.remove({ path: 'dir/secret.txt' }),
    () => workspace.stat('dir/secret.txt'),
    () => workspace.move({ from: 'dir/secret.txt', to: 'got' }),
    () => workspace.move({ from: 'plain', to: 'dir/plain' }),
  ];
  for (const call of calls) expect(await nameOf(call())).toBe('PATH_OUTSIDE');
  expect(readdirSync(outside)).toEqual(['secret.txt']);
  expect(readdirSync(at('.')).sort()).toEqual(['dangling', 'dir', 'file', 'inside', 'plain']);
});

test.each(['file', 'inside', 'dangling'])(
  'a write onto the link %s is refused and leaves it as it is',
  async (path) => {
    const { workspace, at } = withLinks();
    expect(await nameOf(workspace.write({ path, data: 'x' }))).toBe('WRONG_FILE_KIND');
    expect((await workspace.stat(path)).kind).toBe('symlink');
    expect(readFileSync(at('plain'), 'utf8')).toBe('p');
  },
);

test('stat, move and remove act on the link itself', async () => {
  const { workspace, outside } = withLinks();
  expect(await workspace.stat('dir')).toMatchObject({ kind: 'symlink', path: 'dir' });
  await workspace.move({ from: 'dir', to: 'moved' });
  expect((await workspace.stat('moved')).kind).toBe('symlink');
  await workspace.remove({ path: 'moved', recursive: true });
  expect(await nameOf(workspace.stat('moved'))).toBe('FILE_NOT_FOUND');
  expect(readdirSync(outside)).toEqual(['secret.txt']);
});

test('a recursive remove takes links away and leaves what they point to', async () => {
  const { workspace, outside, put, at } = makeRoom();
  put('t/sub/x');
  symlinkSync(outside, at('t/d'));
  symlinkSync(join(outside, 'secret.txt'), at('t/sub/f'));
  symlinkSync('..', at('t/sub/up'));
  await workspace.remove({ path: 't', recursive: true });
  expect(readdirSync(at('.'))).toEqual([]);
  expect(readFileSync(join(outside, 'secret.txt'), 'utf8')).toBe(SECRET);
});

/** Swaps `d` with `l` and `f` with `g` by renameat2(RENAME_EXCHANGE) until its stdin ends. */
const SWAPPER = `
import ctypes, os, select, sys
os.chdir(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
print("ready", flush=True)
swaps = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    for _ in range(50):
        libc.renameat2(-100, b"d", -100, b"l", 2)
        libc.renameat2(-100, b"f", -100, b"g", 2)
        swaps += 2
print(swaps, flush=True)
`;

test('a payload that swaps directories and files with links for two seconds gets nothing read or written outside', {
  timeout: 30_000,
}, async () => {
  const { workspace, outside, put, at } = makeRoom();
  writeFileSync(join(outside, 'theirs.txt'), SECRET);
  put('d/secret.txt', 'mine');
  put('d/sub/x', 'x');
  symlinkSync(outside, at('l'));
  put('f', 'mine');
  symlinkSync(join(outside, 'secret.txt'), at('g'));
  const swapper = spawn('python3', ['-c', SWAPPER, at('.')], { stdio: ['pipe', 'pipe', 'inherit'] });
  let printed = '';
  swapper.stdout.on('data', (data) => {
    printed += data;
  });
  await once(swapper.stdout, 'data');
  const tally = { done: 0, refused: 0 };
  const attempt = async (call: () => Promise<unknown>, check: (result: unknown) => void): Promise<void> => {
    try {
      check(await call());
      tally.done += 1;
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      tally.refused += 1;
    }
  };
  const clean = (result: unknown): void => expect(JSON.stringify(result) ?? '').not.toContain(SECRET);
  const until = Date.now() + 2000;
  try {
    const enough = (): boolean => tally.done > 100 && tally.refused > 100;
    for (let n = 0; Date.now() < until || (!enough() && Date.now() < until + 20_000); n += 1) {
      await Promise.all([
        attempt(() => workspace.read({ path: 'd/secret.txt' }), clean),
        attempt(() => workspace.read({ path: 'f' }), clean),
        attempt(() => workspace.write({ path: `d/new${n % 5}`, data: 'x' }), clean),
        attempt(() => workspace.write({ path: 'f', data: 'mine' }), clean),
        attempt(() => workspace.mkdir(`d/made${n % 5}/deep`), clean),
        attempt(
          () => workspace.list({ path: '.', recursive: true }),
          (result) => {
            expect(JSON.stringify(result)).not.toContain('theirs.txt');
          },
        ),
        attempt(() => workspace.remove({ path: 'd/made0', recursive: true }), clean),
      ]);
      if (n % 10 === 0)
        await attempt(async () => gunzipSync((await workspace.archive()).data).toString('latin1'), clean);
    }
  } finally {
    swapper.stdin.end();
    await once(swapper, 'close');
  }
  const swaps = Number(printed.trim().split('\n').at(-1));
  expect(swaps).toBeGreaterThan(1000);
  expect(tally.done, 'calls that went through').toBeGreaterThan(100);
  expect(tally.refused, 'calls that met a link').toBeGreaterThan(100);
  expect(readdirSync(outside).sort()).toEqual(['secret.txt', 'theirs.txt']);
  expect(readFileSync(join(outside, 'secret.txt'), 'utf8')).toBe(SECRET);
});

test('a remove whose directories are swapped for links while it runs removes nothing outside', {
  timeout: 30_000,
}, async () => {
  const { workspace, outside, base, put, at } = makeRoom();
  for (let n = 0; n < 50; n += 1) writeFileSync(join(outside, `keep${n}`), SECRET);
  const swap = `
import os, select, sys
os.chdir(sys.argv[1])
print("ready", flush=True)
n = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    for d in ("a", "b", "c"):
        try:
            os.rename("t/" + d, f"aside{n}")
            os.symlink(sys.argv[2], "t/" + d)
            n += 1
        except OSError: pass
`;
  for (let round = 0; round < 8; round += 1) {
    for (const d of ['a', 'b', 'c']) for (let n = 0; n < 20; n += 1) put(`t/${d}/${n}/keep${n}`, 'x');
    const swapper = spawn('python3', ['-c', swap, at('.'), outside], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(swapper.stdout, 'data');
    await workspace.remove({ path: 't', recursive: true }).catch((error: unknown) => {
      if (!(error instanceof Fault)) throw error;
    });
    swapper.stdin.end();
    await once(swapper, 'close');
    renameSync(at('.'), join(base, `round${round}`));
    mkdirSync(at('.'));
  }
  expect(readdirSync(outside)).toHaveLength(51);
});
