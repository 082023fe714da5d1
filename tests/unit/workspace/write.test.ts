// Writing: whole or not at all, owned by the slot, and never onto what is no file.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { expect, test } from 'vitest';
import { isRoot, makeRoom, nameOf, owner, python } from './room.ts';

const sha256 = (data: string): string => createHash('sha256').update(data).digest('hex');

async function* failing(): AsyncGenerator<Buffer> {
  yield Buffer.from('half');
  throw new Error('aborted');
}

async function* pieces(...parts: string[]): AsyncGenerator<Buffer> {
  for (const part of parts) yield Buffer.from(part);
}

test('a file is written with its parents, and the result tells its bytes and hash', async () => {
  const { workspace, at } = makeRoom();
  expect(await workspace.write({ path: 'a/b/c.txt', data: 'ü漢' })).toEqual({ bytes: 5, sha256: sha256('ü漢') });
  expect(readFileSync(at('a/b/c.txt'), 'utf8')).toBe('ü漢');
  await workspace.write({ path: '/workspace/a/b/c.txt', data: 'AP8=', encoding: 'base64' });
  expect([...readFileSync(at('a/b/c.txt'))]).toEqual([0, 255]);
  expect(readdirSync(at('a/b'))).toEqual(['c.txt']);
});

test('new files are 0644 and directories 0755 whatever the umask; a replaced file keeps its mode without set-id bits', async () => {
  const { workspace, at } = makeRoom();
  const mode = (path: string): number => statSync(at(path)).mode & 0o7777;
  const before = process.umask(0o077);
  try {
    await workspace.write({ path: 'd/f', data: '1' });
  } finally {
    process.umask(before);
  }
  expect([mode('d'), mode('d/f')]).toEqual([0o755, 0o644]);
  chmodSync(at('d/f'), 0o4750);
  await workspace.write({ path: 'd/f', data: '2' });
  expect(mode('d/f')).toBe(0o750);
  await workspace.write({ path: 'd/f', data: '3', mode: 0o600 });
  expect(mode('d/f')).toBe(0o600);
});

test.runIf(isRoot)('a gateway that is root gives files and directories to the owner of the slot', async () => {
  const { workspace, at } = makeRoom();
  await workspace.write({ path: 'a/b/f', data: 'x' });
  await workspace.writeStream('a/g', pieces('x'), { maxBytes: 10 });
  await workspace.mkdir('m/n');
  for (const path of ['a', 'a/b', 'a/b/f', 'a/g', 'm', 'm/n']) {
    const { uid, gid } = statSync(at(path));
    expect({ path, uid, gid }).toEqual({ path, ...owner });
  }
});

test('what is no file is not written over, at once', async () => {
  const { workspace, at, put } = makeRoom();
  mkdirSync(at('d'));
  put('f', 'x');
  await python(
    'import os,sys,socket; os.chdir(sys.argv[1]); os.mkfifo("p"); socket.socket(socket.AF_UNIX).bind("s")',
    at('.'),
  );
  for (const path of ['.', 'd', 'd/', 'new/', 'p', 's', 'f/x', '/workspace']) {
    expect(await nameOf(workspace.write({ path, data: 'x' })), path).toBe('WRONG_FILE_KIND');
  }
  expect(await nameOf(workspace.write({ path: '', data: 'x' }))).toBe('INVALID_PARAMS');
  expect(await nameOf(workspace.write({ path: 'g', data: 'no base64!', encoding: 'base64' }))).toBe('INVALID_PARAMS');
  expect(readdirSync(at('.')).sort()).toEqual(['d', 'f', 'p', 's']);
});

test('two writes with the same expectedSha256 at the same time: one wins, the other is HASH_MISMATCH', async () => {
  const { workspace, at, put } = makeRoom();
  put('f', 'old');
  const expectedSha256 = sha256('old');
  const results = await Promise.allSettled(
    ['one', 'two', 'three'].map((data) => workspace.write({ path: 'f', data, expectedSha256 })),
  );
  expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
  expect(readFileSync(at('f'), 'utf8')).not.toBe('old');
  expect(await nameOf(workspace.write({ path: 'f', data: 'x', expectedSha256 }))).toBe('HASH_MISMATCH');
  expect(await nameOf(workspace.write({ path: 'none', data: 'x', expectedSha256 }))).toBe('HASH_MISMATCH');
  expect(await nameOf(workspace.write({ path: 'no/ne', data: 'x', expectedSha256 }))).toBe('HASH_MISMATCH');
  expect(readdirSync(at('.'))).toEqual(['f']);
});

test('an upload that breaks off, is too large or goes to a wrong place changes nothing, not even directories', async () => {
  const { workspace, at, put } = makeRoom();
  put('f', 'old');
  mkdirSync(at('d'));
  expect(await nameOf(workspace.writeStream('f', failing(), { maxBytes: 100 }))).toBe('CANCELLED');
  expect(await nameOf(workspace.writeStream('new/deep/f', failing(), { maxBytes: 100 }))).toBe('CANCELLED');
  expect(await nameOf(workspace.writeStream('f', pieces('12345', '67890'), { maxBytes: 9 }))).toBe('TOO_LARGE');
  expect(await nameOf(workspace.writeStream('d', pieces('x'), { maxBytes: 9 }))).toBe('WRONG_FILE_KIND');
  expect(readFileSync(at('f'), 'utf8')).toBe('old');
  expect(readdirSync(at('.')).sort()).toEqual(['d', 'f']);
  expect(await workspace.writeStream('f', pieces('12345', '6789'), { maxBytes: 9 })).toEqual({
    bytes: 9,
    sha256: sha256('123456789'),
  });
});

test('a reader sees the old or the new content, never a part', async () => {
  const { workspace } = makeRoom();
  const [a, b] = ['a'.repeat(300_000), 'b'.repeat(300_000)];
  await workspace.write({ path: 'f', data: a });
  let writing = true;
  const writes = (async () => {
    for (let n = 0; n < 30; n += 1) await workspace.write({ path: 'f', data: n % 2 ? a : b });
    writing = false;
  })();
  let seen = 0;
  while (writing) {
    const { data } = await workspace.read({ path: 'f' });
    expect(data === a || data === b).toBe(true);
    seen += 1;
  }
  await writes;
  expect(seen).toBeGreaterThan(5);
});

test.runIf(isRoot)('a full disk is NO_SPACE and leaves the old file', async () => {
  const { at, workspace } = makeRoom();
  mkdirSync(at('m'));
  // Where mounting is not allowed there is nothing to try; CI and the usual root both may.
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', at('m')]);
  try {
    await workspace.write({ path: 'm/f', data: 'old' });
    expect(await nameOf(workspace.write({ path: 'm/f', data: 'x'.repeat(1_000_000) }))).toBe('NO_SPACE');
    expect(readFileSync(at('m/f'), 'utf8')).toBe('old');
    expect(readdirSync(at('m'))).toEqual(['f']);
  } finally {
    execFileSync('umount', [at('m')]);
  }
});

test('a path of 2000 levels is written, read and removed', { timeout: 30_000 }, async () => {
  const { workspace, at } = makeRoom();
  const path = `${'d/'.repeat(2000)}f`;
  await workspace.write({ path, data: 'deep' });
  expect((await workspace.read({ path })).data).toBe('deep');
  await workspace.remove({ path: 'd', recursive: true });
  expect(existsSync(at('d'))).toBe(false);
});

test('names that differ in case, normal form or control characters are different files', async () => {
  const { workspace } = makeRoom();
  const names = [
    'A',
    'a',
    '\u00E9',
    'e\u0301',
    'a\nb',
    'a\u001B[2J',
    'a\u202Eb',
    '%2e%2e',
    '..\\x',
    '...',
    ' ',
    '-rf',
    '~',
  ];
  for (const name of names) await workspace.write({ path: name, data: name });
  for (const name of names) expect((await workspace.read({ path: name })).data).toBe(name);
  const { entries } = await workspace.list();
  expect(entries.map(({ path }) => path).sort()).toEqual([...names].sort());
});
