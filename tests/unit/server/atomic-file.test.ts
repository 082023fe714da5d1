import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createFile, removeDrafts, replaceFile } from '../../../server/atomic-file.ts';
import { smallDisk } from '../../support/small-disk.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'slotcast-atomic-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test('a file is replaced for the own user alone, and nothing is left beside it', async () => {
  const path = join(dir, 'state');
  await replaceFile(path, 'one');
  await replaceFile(path, 'two');
  expect(readFileSync(path, 'utf8')).toBe('two');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(dir)).toEqual(['state']);
});

test('a reader sees one content or the other, whoever writes at the same time', async () => {
  const path = join(dir, 'state');
  const contents = Array.from({ length: 20 }, (_, n) => String(n).padStart(3, '0').repeat(20_000));
  await replaceFile(path, contents[0] ?? '');
  const writing = Promise.all(contents.map((content) => replaceFile(path, content)));
  let done = false;
  void writing.then(() => {
    done = true;
  });
  for (; !done; await new Promise((resolve) => setImmediate(resolve))) {
    expect(contents).toContain(readFileSync(path, 'utf8'));
  }
  await writing;
  expect(readdirSync(dir)).toEqual(['state']);
});

test('of several who make a file one does, and the others are told', async () => {
  const path = join(dir, 'key');
  const made = await Promise.all(Array.from({ length: 8 }, (_, n) => createFile(path, `${n}`)));
  expect(made.filter(Boolean)).toHaveLength(1);
  expect(readFileSync(path, 'utf8')).toBe(String(made.indexOf(true)));
  expect(readdirSync(dir)).toEqual(['key']);
});

test('on a full disk the file from before is whole, and no draft is left', async (context) => {
  const disk = smallDisk(context, 1);
  const path = join(disk.path, 'state');
  await replaceFile(path, 'before');
  disk.fill();
  const large = 'x'.repeat(100_000);
  await expect(replaceFile(path, large)).rejects.toMatchObject({ code: 'ENOSPC' });
  await expect(createFile(join(disk.path, 'new'), large)).rejects.toMatchObject({ code: 'ENOSPC' });
  expect(readFileSync(path, 'utf8')).toBe('before');
  expect(readdirSync(disk.path).sort()).toEqual(['ballast', 'state']);
  disk.free();
  await replaceFile(path, large);
  expect(readFileSync(path, 'utf8')).toBe(large);
});

test('a directory in the way is left as it is, without a draft beside it', async () => {
  await expect(replaceFile(dir, 'x')).rejects.toThrow();
  expect(readdirSync(dir)).toEqual([]);
  expect(readdirSync(join(dir, '..')).filter((name) => name.endsWith('.draft'))).toEqual([]);
});

test('drafts of who died are removed, of who may still write and other files are not', async () => {
  const old = new Date(Date.now() - 3_600_000);
  for (const name of ['key.0123456789ab.draft', 'key.draft', 'a.0123456789AB.draft', 'key']) {
    writeFileSync(join(dir, name), '');
    utimesSync(join(dir, name), old, old);
  }
  writeFileSync(join(dir, 'key.ba9876543210.draft'), '');
  await removeDrafts(dir);
  expect(readdirSync(dir).sort()).toEqual(['a.0123456789AB.draft', 'key', 'key.ba9876543210.draft', 'key.draft']);
  await removeDrafts(join(dir, 'nowhere'));
});
