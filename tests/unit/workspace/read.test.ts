// Reading: parts, limits, characters, and files that change or never end.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, renameSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { Fault } from '../../../protocol/fault.ts';
import { cutAtCharacter } from '../../../server/workspace/read.ts';
import { eventually, makeRoom, nameOf, openDescriptors, python } from './room.ts';

const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex');

test('a file is read with its size, hash and type', async () => {
  const { workspace, put } = makeRoom();
  put('src/a.json', '{"ü":1}');
  expect(await workspace.read({ path: '/workspace/src/a.json' })).toEqual({
    data: '{"ü":1}',
    encoding: 'utf8',
    bytes: 8,
    size: 8,
    truncated: false,
    sha256: sha256('{"ü":1}'),
    mime: 'application/json',
  });
});

test('bytes that are no text come back whole as base64, from any offset', async () => {
  const { workspace, put } = makeRoom();
  const data = Buffer.from(Array.from({ length: 700_000 }, (_, n) => (n * 7919) % 256));
  put('b.bin', data);
  const part = await workspace.read({ path: 'b.bin', encoding: 'base64', offset: 300_001, maxBytes: 200_000 });
  expect(Buffer.from(part.data, 'base64').equals(data.subarray(300_001, 500_001))).toBe(true);
  expect(part).toMatchObject({ bytes: 200_000, size: 700_000, truncated: true, sha256: sha256(data) });
  const rest = await workspace.read({ path: 'b.bin', encoding: 'base64', offset: 500_001 });
  expect(rest).toMatchObject({ bytes: 199_999, truncated: false });
  expect(await workspace.read({ path: 'b.bin', offset: 700_001 })).toMatchObject({
    data: '',
    bytes: 0,
    truncated: false,
  });
});

test('a limit counts bytes, and text read in pieces joins up to the same characters', async () => {
  const { workspace, put } = makeRoom();
  const whole = '漢é😀a'.repeat(10_000);
  put('t.txt', whole);
  let [joined, offset] = ['', 0];
  for (;;) {
    const part = await workspace.read({ path: 't.txt', offset, maxBytes: 10_001 });
    expect(part.bytes).toBe(Buffer.byteLength(part.data));
    expect(part.bytes).toBeLessThanOrEqual(10_001);
    joined += part.data;
    offset += part.bytes;
    if (!part.truncated) break;
  }
  expect(joined).toBe(whole);
});

test.each([
  [[0x61, 0xe6, 0xbc], 1],
  [[0xf0, 0x9f, 0x98], 0],
  [[0xe6, 0xbc, 0xa2], 3],
  [[0x61, 0xff, 0x80, 0x80, 0x80], 5],
  [[0xc3], 0],
  [[], 0],
])('of the bytes %j, %i are whole characters or none at all', (bytes, length) => {
  expect(cutAtCharacter(Buffer.from(bytes))).toHaveLength(length);
});

test('a sparse terabyte is read as far as asked, at once and without a hash', async () => {
  const { workspace, put } = makeRoom();
  truncateSync(put('f'), 2 ** 40);
  const part = await workspace.read({ path: 'f', offset: 2 ** 39, maxBytes: 1000, encoding: 'base64' });
  expect(part).toMatchObject({ bytes: 1000, size: 2 ** 40, truncated: true, sha256: null });
});

test('a file that grows while it is streamed ends where it ended when it was opened', async () => {
  const { workspace, put, at } = makeRoom();
  put('log', 'x'.repeat(100));
  const { stream, size, length } = await workspace.openRead('log');
  appendFileSync(at('log'), 'y'.repeat(1000));
  expect(await text(stream)).toBe('x'.repeat(100));
  expect([size, length]).toEqual([100, 100]);
});

test('a file that is cut while it is streamed fails its stream, whose length was told', async () => {
  const { workspace, put, at } = makeRoom();
  put('log', 'x'.repeat(100));
  const { stream, length } = await workspace.openRead('log');
  truncateSync(at('log'), 10);
  await expect(text(stream)).rejects.toThrow('cut while it was read');
  expect(length).toBe(100);
});

test('a stream gives the range asked for, also one that was chosen by the facts of the file', async () => {
  const { workspace, put } = makeRoom();
  put('r.txt', '0123456789');
  const read = async (range?: Parameters<typeof workspace.openRead>[1]): Promise<string> =>
    text((await workspace.openRead('r.txt', range)).stream);
  expect(await read({ start: 2, end: 4 })).toBe('234');
  expect(await read({ start: 8, end: 400 })).toBe('89');
  expect(await read(({ size }) => ({ start: size - 3 }))).toBe('789');
  expect(await read({ start: 10 })).toBe('');
  const refuse = (): never => {
    throw new Fault('TOO_LARGE');
  };
  expect(await nameOf(workspace.openRead('r.txt', refuse))).toBe('TOO_LARGE');
});

test('the etag is another after any change, even one that keeps size and time', async () => {
  const { workspace, put, at } = makeRoom();
  const etag = async (): Promise<string> => {
    const { stream, etag } = await workspace.openRead('e');
    stream.destroy();
    return etag;
  };
  put('e', 'one');
  const first = await etag();
  expect(await etag()).toBe(first);
  writeFileSync(at('new'), 'two');
  renameSync(at('new'), at('e'));
  expect(await etag()).not.toBe(first);
});

test('what is no regular file is refused at once and holds up no other read', async () => {
  const { workspace, put, at } = makeRoom();
  put('plain', 'p');
  await python(
    'import os,sys,socket; os.chdir(sys.argv[1]); os.mkfifo("p"); socket.socket(socket.AF_UNIX).bind("s")',
    at('.'),
  );
  // A FIFO that held its thread would hold it for good, and four hold all.
  const fifos = Array.from({ length: 4 }, () => nameOf(workspace.read({ path: 'p' })));
  expect((await workspace.read({ path: 'plain' })).data).toBe('p');
  expect(new Set(await Promise.all(fifos))).toEqual(new Set(['WRONG_FILE_KIND']));
  expect(await nameOf(workspace.openRead('p'))).toBe('WRONG_FILE_KIND');
  expect(await nameOf(workspace.read({ path: 's' }))).toBe('WRONG_FILE_KIND');
  expect(await nameOf(workspace.read({ path: '.' }))).toBe('WRONG_FILE_KIND');
  expect(await nameOf(workspace.read({ path: 'plain/' }))).toBe('WRONG_FILE_KIND');
  expect(await nameOf(workspace.read({ path: 'plain/x' }))).toBe('WRONG_FILE_KIND');
  expect(await nameOf(workspace.read({ path: 'none/x' }))).toBe('FILE_NOT_FOUND');
});

test('a file under a lease of the payload is refused at once instead of waiting for its holder', async () => {
  const { workspace, put, at } = makeRoom();
  put('leased', 'x');
  put('plain', 'p');
  const hold = `
import fcntl, os, signal, subprocess, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
fd = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("held", flush=True)
sys.stdin.read()`;
  const holder = spawn('python3', ['-c', hold, at('leased')], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    await once(holder.stdout, 'data');
    // A wait for the holder would end with the lease, which the kernel lets it keep for longer than a test may take.
    expect(await nameOf(workspace.read({ path: 'leased' }))).toBe('WRONG_FILE_KIND');
    expect((await workspace.archive()).skipped).toBe(1);
  } finally {
    holder.stdin.end();
    await once(holder, 'close');
  }
  expect((await workspace.read({ path: 'leased' })).data).toBe('x');
});

test('no descriptor stays open, whatever a read ended in', async () => {
  const { workspace, put, at } = makeRoom();
  put('a/b', 'x');
  symlinkSync('/etc', at('l'));
  await workspace.read({ path: 'a/b' });
  const before = openDescriptors();
  for (let n = 0; n < 20; n += 1) {
    await workspace.read({ path: 'a/b' });
    await nameOf(workspace.read({ path: 'l/passwd' }));
    await nameOf(workspace.read({ path: 'a' }));
    await nameOf(workspace.read({ path: 'a/none/x' }));
    (await workspace.openRead('a/b')).stream.destroy();
  }
  await eventually(() => openDescriptors() <= before, 'all descriptors closed');
});
