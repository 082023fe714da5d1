// Archives of hostile trees, unpacked and listed by other programs than the one that packed them.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { eventually, longestStall, makeRoom, nameOf, openDescriptors, python, type Room } from './room.ts';

const FORMATS = ['tar.gz', 'zip'] as const;

/** name → [mode, uid, gid, owner, size], by Python's own readers; fails when the archive is damaged. */
const INSPECT = `
import json, sys, tarfile, zipfile
out = {}
if sys.argv[1].endswith("zip"):
    with zipfile.ZipFile(sys.argv[1]) as z:
        assert z.testzip() is None
        for i in z.infolist(): out[i.filename] = [i.external_attr >> 16 & 0o7777, 0, 0, "", i.file_size]
else:
    with tarfile.open(sys.argv[1]) as t:
        for m in t:
            assert m.isfile() or m.isdir(), m
            if m.isfile(): t.extractfile(m).read()
            out[m.name + ("/" if m.isdir() else "")] = [m.mode, m.uid, m.gid, m.uname + m.gname, m.size]
print(json.dumps(out))
`;

type Inspected = Record<string, [mode: number, uid: number, gid: number, owner: string, size: number]>;

async function inspect(room: Room, data: Buffer, format: string): Promise<Inspected> {
  const file = join(room.base, `packed.${format}`);
  writeFileSync(file, data);
  return JSON.parse(await python(INSPECT, file));
}

test.each(FORMATS)('%s holds files and directories with plain modes and no owners', async (format) => {
  const room = makeRoom();
  const { workspace, put, at } = room;
  chmodSync(put('bin/run', '#!/bin/sh\n'), 0o6755);
  chmodSync(put('secret', 's'), 0o600);
  put('ü/漢.txt', 'text'.repeat(10_000));
  put('big', Buffer.alloc(3_000_000, 'b'));
  put('none', '');
  mkdirSync(at('empty'));
  const { data, ...count } = await workspace.archive({ format });
  expect(count).toEqual({ bytes: data.length, entries: 8, skipped: 0 });
  expect(await inspect(room, data, format)).toEqual({
    'bin/': [0o755, 0, 0, '', 0],
    'bin/run': [0o755, 0, 0, '', 10],
    secret: [0o644, 0, 0, '', 1],
    'ü/': [0o755, 0, 0, '', 0],
    'ü/漢.txt': [0o644, 0, 0, '', 40_000],
    big: [0o644, 0, 0, '', 3_000_000],
    none: [0o644, 0, 0, '', 0],
    'empty/': [0o755, 0, 0, '', 0],
  });
});

test('what was packed is what is unpacked, times included', async () => {
  const room = makeRoom();
  const content = Buffer.from(Array.from({ length: 400_000 }, (_, n) => (n * 31) % 251));
  utimesSync(room.put('a/b', content), 1_700_000_000, 1_700_000_000);
  utimesSync(room.put('a/future', 'x'), 99_999_999_999, 99_999_999_999);
  const { data } = await room.workspace.archive({ path: 'a' });
  const out = join(room.base, 'out');
  mkdirSync(out);
  execFileSync('tar', ['-xzf', '-', '-C', out], { input: data, stdio: ['pipe', 'ignore', 'ignore'] });
  expect(readdirSync(out).sort()).toEqual(['b', 'future']);
  expect(readFileSync(join(out, 'b')).equals(content)).toBe(true);
  expect(execFileSync('stat', ['-c', '%Y', join(out, 'b')], { encoding: 'utf8' }).trim()).toBe('1700000000');
});

test('of a single file the archive has its name; what is neither file nor directory is a fault', async () => {
  const room = makeRoom();
  room.put('d/f.txt', 'x');
  execFileSync('mkfifo', [room.at('p')]);
  const { data } = await room.workspace.archive({ path: 'd/f.txt', format: 'zip' });
  expect(Object.keys(await inspect(room, data, 'zip'))).toEqual(['f.txt']);
  expect(await nameOf(room.workspace.archive({ path: 'p' }))).toBe('WRONG_FILE_KIND');
  expect(await nameOf(room.workspace.archive({ path: 'none' }))).toBe('FILE_NOT_FOUND');
  expect(await nameOf(room.workspace.archiveStream({ path: '..' }))).toBe('PATH_OUTSIDE');
});

test.each(FORMATS)('%s skips and counts links and special files, and does not hang on them', async (format) => {
  const room = makeRoom();
  const { workspace, put, at, outside } = room;
  linkSync(put('plain', 'p'), at('hard'));
  symlinkSync('.', at('loop'));
  symlinkSync(outside, at('out'));
  symlinkSync('/etc/passwd', at('passwd'));
  await python(
    'import os,sys,socket; os.chdir(sys.argv[1]); os.mkfifo("p"); socket.socket(socket.AF_UNIX).bind("s")',
    at('.'),
  );
  const { data, entries, skipped } = await workspace.archive({ format });
  expect([entries, skipped]).toEqual([2, 5]);
  expect(Object.keys(await inspect(room, data, format)).sort()).toEqual(['hard', 'plain']);
});

test.each(FORMATS)('%s has no name that leads up, begins at a root or a drive, or is lost', async (format) => {
  const room = makeRoom();
  const names = ['..\\..\\x', 'a\\..\\..\\y', 'C:x', '\\\\?\\C:\\z', '...', 'note:1', 'a\nb', '\u202Ecod', '-rf', ' '];
  for (const name of names) room.put(name, 'x');
  await python('import os,sys; os.chdir(sys.argv[1]); open(b"\\xff","w")', room.at('.'));
  const { data, entries } = await room.workspace.archive({ format });
  const packed = Object.keys(await inspect(room, data, format));
  expect([entries, packed.length]).toEqual([names.length + 1, names.length + 1]);
  for (const name of packed) expect(name).not.toMatch(/^\/|^\w+:|\\|(^|\/)\.\.(\/|$)/);
  if (format === 'tar.gz') {
    const listed = execFileSync('tar', ['-tzf', '-'], { input: data, encoding: 'utf8' });
    expect(listed).not.toMatch(/^\/|(^|\/)\.\.(\/|$)/m);
  }
});

test.each(FORMATS)('%s of a sparse terabyte is refused before its zeros are read, naming the limit', async (format) => {
  const { workspace, put } = makeRoom();
  truncateSync(put('f'), 2 ** 40);
  const failure = workspace.archive({ format, maxBytes: 100_000 });
  expect(await nameOf(failure)).toBe('TOO_LARGE');
  await expect(failure).rejects.toThrow(/6400000 bytes, 64 times maxBytes, at "f"/);
});

test.each(FORMATS)('%s ends at its limit of bytes and at its limit of entries', async (format) => {
  const { workspace, at, put } = makeRoom();
  await python('import os,sys; open(sys.argv[1],"wb").write(os.urandom(5_000_000))', at('random'));
  const bytes = workspace.archive({ format, maxBytes: 1_000_000 });
  expect(await nameOf(bytes)).toBe('TOO_LARGE');
  await expect(bytes).rejects.toThrow('larger than 1000000 bytes (maxBytes)');
  put('d/x');
  const entries = workspace.archive({ format, maxEntries: 2 });
  expect(await nameOf(entries)).toBe('TOO_LARGE');
  await expect(entries).rejects.toThrow('more than 2 entries (maxEntries)');
  expect((await workspace.archive({ path: 'd', format, maxEntries: 1 })).entries).toBe(1);
});

test.each(FORMATS)(
  '%s of files that grow, shrink and vanish while they are packed is whole',
  { timeout: 30_000 },
  async (format) => {
    const room = makeRoom();
    const { workspace, put, at } = room;
    const size = 4_000_000;
    for (const name of ['a-grows', 'b-shrinks'])
      put(name, Buffer.from(execFileSync('head', ['-c', `${size}`, '/dev/urandom'], { maxBuffer: size })));
    for (let n = 0; n < 500; n += 1) put(`c/${n}`, 'x');
    const { stream, done } = await workspace.archiveStream({ format });
    await once(stream, 'readable');
    appendFileSync(at('a-grows'), Buffer.alloc(size));
    truncateSync(at('b-shrinks'), 100);
    execFileSync('rm', ['-rf', at('c')]);
    const data = await buffer(stream);
    const { entries, skipped } = await done;
    const packed = await inspect(room, data, format);
    expect(packed['a-grows']?.[4]).toBe(size);
    // Opened before or after it was cut: whole with zeros, or as short as it is by then.
    expect([size, 100]).toContain(packed['b-shrinks']?.[4]);
    expect(Object.keys(packed)).toHaveLength(entries);
    expect(skipped).toBeGreaterThan(0);
  },
);

test('a stream that nobody reads on stops reading the disk, and leaves no descriptor when it is dropped', async () => {
  const { workspace, put } = makeRoom();
  const before = openDescriptors();
  for (let n = 0; n < 20; n += 1) put(`big${n}`, Buffer.alloc(2_000_000, 'x'));
  for (let n = 0; n < 50; n += 1) put(`d/${n}`, 'x');
  for (const format of FORMATS) {
    const { stream, done } = await workspace.archiveStream({ format });
    stream.destroy();
    expect(await nameOf(done)).toBe('CANCELLED');
    const controller = new AbortController();
    const aborted = await workspace.archiveStream({ format, signal: controller.signal });
    await once(aborted.stream, 'readable');
    aborted.stream.on('error', () => undefined);
    controller.abort();
    expect(await nameOf(aborted.done)).toBe('CANCELLED');
  }
  await eventually(() => openDescriptors() <= before, 'all descriptors closed');
});

test('a tree of 1900 levels is packed and can be unpacked', { timeout: 60_000 }, async () => {
  const room = makeRoom();
  await python(
    'import os,sys\nos.chdir(sys.argv[1])\nfor n in range(1900):\n os.mkdir("d"); os.chdir("d")\nopen("f","w").close()',
    room.at('.'),
  );
  const { data, entries } = await room.workspace.archive();
  expect(entries).toBe(1901);
  const listed = execFileSync('tar', ['-tzf', '-'], { input: data, encoding: 'utf8', maxBuffer: 2 ** 24 });
  expect(listed.trim().split('\n').at(-1)).toBe(`${'d/'.repeat(1900)}f`);
});

test('20,000 files are packed while the event loop runs on, with few descriptors', { timeout: 60_000 }, async () => {
  const { workspace, at } = makeRoom();
  await python(
    'import os,sys\nos.chdir(sys.argv[1])\nfor n in range(20000):\n with open(f"{n}","w") as f: f.write("x"*200)',
    at('.'),
  );
  const before = openDescriptors();
  let most = 0;
  const timer = setInterval(() => {
    most = Math.max(most, openDescriptors());
  }, 20);
  const { stallMs, result } = await longestStall(workspace.archive());
  clearInterval(timer);
  expect(result.entries).toBe(20_000);
  expect(gunzipSync(result.data).length).toBeGreaterThan(20_000 * 1024);
  expect(stallMs).toBeLessThan(100);
  expect(most - before).toBeLessThan(40);
});

test('a killed gateway leaves no temporary archive behind, for there is none', async () => {
  const { workspace, put, base } = makeRoom();
  put('f', Buffer.alloc(3_000_000, 'x'));
  const { stream } = await workspace.archiveStream();
  await once(stream, 'readable');
  expect(readdirSync(base).sort()).toEqual(['slot_0', 'slot_1']);
  stream.destroy();
});
