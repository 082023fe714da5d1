import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';

let gateway: TestGateway;
let client: Client;
let slot: string;
beforeAll(async () => {
  gateway = await startGateway();
  client = await gateway.client();
  ({ slot } = await client.call('slot.acquire', {}));
});
afterAll(() => gateway?.close());

const sh = async (command: string) => (await client.call('exec.run', { command })).stdout;
const http = (path: string, init: RequestInit = {}) =>
  fetch(`${gateway.url}${path}`, { ...init, headers: { authorization: `Bearer ${gateway.token}`, ...init.headers } });

test('what is written is read back, by file calls and by commands, with its hash', async () => {
  const written = await client.call('file.write', { path: 'a/b/c.txt', data: 'häl\n' });
  expect(written.bytes).toBe(5);
  expect(await sh('cat a/b/c.txt; sha256sum < a/b/c.txt')).toBe(`häl\n${written.sha256}  -\n`);
  const read = await client.call('file.read', { path: '/workspace/a/b/c.txt' });
  expect(read).toMatchObject({ data: 'häl\n', bytes: 5, size: 5, truncated: false, sha256: written.sha256 });
  expect(await sh('stat -c "%u %a" a/b/c.txt; id -u')).toBe('1000 644\n1000\n');
});

test('a part of a file is read by offset and maxBytes', async () => {
  await client.call('file.write', { path: 'part', data: '0123456789' });
  expect(await client.call('file.read', { path: 'part', offset: 3, maxBytes: 4 })).toMatchObject({
    data: '3456',
    bytes: 4,
    size: 10,
    truncated: true,
  });
});

test('expectedSha256 refuses to write over somebody else’s change', async () => {
  const { sha256 } = await client.call('file.write', { path: 'guarded', data: '1' });
  await client.call('file.write', { path: 'guarded', data: '2', expectedSha256: sha256 });
  const late = client.call('file.write', { path: 'guarded', data: '3', expectedSha256: sha256 });
  await expect(late).rejects.toMatchObject({ fault: 'HASH_MISMATCH' });
  expect(await sh('cat guarded')).toBe('2');
});

test.each([
  ['../x', 'PATH_OUTSIDE'],
  ['/etc/passwd', 'PATH_OUTSIDE'],
  ['a/../../slot_1/x', 'PATH_OUTSIDE'],
  ['out/etc/passwd', 'PATH_OUTSIDE'],
  ['nowhere', 'FILE_NOT_FOUND'],
  ['dir', 'WRONG_FILE_KIND'],
  ['pipe', 'WRONG_FILE_KIND'],
])('reading %s is %s', async (path, fault) => {
  await sh('mkdir -p dir; ln -sfn / out; test -p pipe || mkfifo pipe');
  await expect(client.call('file.read', { path })).rejects.toMatchObject({ fault });
});

test('list, stat, move, mkdir and remove', async () => {
  await sh('rm -rf tree; mkdir -p tree/sub; echo 1 > tree/one; ln -s one tree/link');
  const { entries, truncated } = await client.call('file.list', { path: 'tree', recursive: true });
  expect(entries.map(({ path, kind }) => [path, kind])).toEqual([
    ['tree/link', 'symlink'],
    ['tree/one', 'file'],
    ['tree/sub', 'dir'],
  ]);
  expect(truncated).toBe(false);
  expect(await client.call('file.stat', { path: 'tree/one' })).toMatchObject({ kind: 'file', size: 2 });
  await client.call('file.mkdir', { path: 'tree/x/y' });
  await client.call('file.move', { from: 'tree/one', to: 'tree/x/y/two' });
  await expect(client.call('file.remove', { path: 'tree' })).rejects.toMatchObject({ fault: 'WRONG_FILE_KIND' });
  expect(await sh('cat tree/x/y/two')).toBe('1\n');
  await client.call('file.remove', { path: 'tree', recursive: true });
  await expect(client.call('file.stat', { path: 'tree' })).rejects.toMatchObject({ fault: 'FILE_NOT_FOUND' });
});

test('archives unpack to the same files, links left out and counted', async () => {
  await sh('rm -rf pack; mkdir -p pack/d; echo 1 > pack/one; echo 2 > pack/d/two; ln -s /etc pack/etc');
  for (const [format, list] of [
    ['tar.gz', (file: string) => execFileSync('tar', ['-tzf', file])],
    ['zip', (file: string) => execFileSync('python3', ['-m', 'zipfile', '-l', file])],
  ] as const) {
    const archive = await client.call('artifact.archive', { path: 'pack', format });
    expect(archive.skipped).toBe(1);
    const dir = mkdtempSync(join(tmpdir(), 'slotcast-archive-'));
    writeFileSync(join(dir, 'x'), Buffer.from(archive.data, 'base64'));
    const listing = list(join(dir, 'x')).toString();
    expect(listing).toContain('one');
    expect(listing).toContain('d/two');
    expect(listing).not.toContain('etc');
    rmSync(dir, { recursive: true });
  }
});

test('large files go up and down over HTTP, with ranges, as attachments', async () => {
  const body = Buffer.alloc(20_000_000, 'slotcast');
  expect((await http(`/slots/${slot}/files/big/file.html`, { method: 'PUT', body })).status).toBeLessThan(300);
  expect(await sh('wc -c < big/file.html')).toBe('20000000\n');
  const whole = await http(`/slots/${slot}/files/big/file.html`);
  expect(Buffer.from(await whole.arrayBuffer()).equals(body)).toBe(true);
  expect(whole.headers.get('content-disposition')).toMatch(/^attachment/);
  expect(whole.headers.get('x-content-type-options')).toBe('nosniff');
  const part = await http(`/slots/${slot}/files/big/file.html`, { headers: { range: 'bytes=8-15' } });
  expect(part.status).toBe(206);
  expect(await part.text()).toBe('slotcast');
  const archive = await http(`/slots/${slot}/archive?path=big&format=tar.gz`);
  expect(archive.status).toBe(200);
  expect((await archive.arrayBuffer()).byteLength).toBeGreaterThan(1000);
});

test('HTTP paths cannot leave the workspace, and errors name no host path', async () => {
  const refused = await http(`/slots/${slot}/files/%2e%2e/%2e%2e/etc/passwd`);
  expect(refused.status).toBeGreaterThanOrEqual(400);
  const text = await refused.text();
  expect(text).not.toContain(gateway.dataDir);
  expect(text).not.toContain('root:');
});

test('files of a slot that nobody leases cannot be reached over HTTP', async () => {
  const put = await http('/slots/slot_3/files/.bashrc', { method: 'PUT', body: 'echo planted' });
  expect([put.status, ((await put.json()) as { error: { data: { name: string } } }).error.data.name]).toEqual([
    409,
    'SLOT_BUSY',
  ]);
});

test('of two writes that expect the same content one is refused', async () => {
  const { sha256 } = await client.call('file.write', { path: 'raced', data: '0' });
  const both = await Promise.allSettled(
    ['1', '2'].map((data) => client.call('file.write', { path: 'raced', data, expectedSha256: sha256 })),
  );
  expect(both.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});
