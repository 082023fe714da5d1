// Files and archives of a workspace over HTTP: streams, ranges, conditions, hostile paths and names.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, symlink, truncate, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { errorName, type Site, startSite } from './harness.ts';

let site: Site;
beforeEach(async () => {
  site = await startSite({ maxUploadBytes: 20 * 1024 * 1024 });
});
afterEach(() => site.close());

const FILES = '/slots/slot_0/files';
const sha = (text: string | Buffer): string => createHash('sha256').update(text).digest('hex');
const put = (path: string, body: string | Buffer, headers = {}) =>
  site.ask(`${FILES}/${path}`, { method: 'PUT', body, headers });

test('what is put is got back, made with its parents', async () => {
  const body = Buffer.alloc(5 * 1024 * 1024, 'slotcast');
  const written = await put('deep/er/big.bin', body);
  expect(written.json()).toEqual({ bytes: body.length, sha256: sha(body) });
  const read = await site.ask(`${FILES}/deep/er/big.bin`);
  expect(read.status).toBe(200);
  expect(read.headers['content-length']).toBe(String(body.length));
  expect(read.body.equals(body)).toBe(true);
});

test('names with blanks, percent signs and other letters are decoded once', async () => {
  await put('a%20b%25%C3%BC.txt', 'x');
  expect(await readdir(site.workspace)).toEqual(['a b%ü.txt']);
  const reply = await site.ask(`${FILES}/a%20b%25%C3%BC.txt`);
  expect(reply.headers['content-disposition']).toBe(
    `attachment; filename="a b__.txt"; filename*=UTF-8''a%20b%25%C3%BC.txt`,
  );
  const bad = await site.ask(`${FILES}/%ff`);
  expect([bad.status, errorName(bad)]).toEqual([400, 'INVALID_PARAMS']);
});

test('a page that a payload wrote is saved, never shown', async () => {
  await writeFile(join(site.workspace, 'x.html'), '<script>alert(1)</script>');
  const { headers } = await site.ask(`${FILES}/x.html`);
  expect(headers['content-disposition']).toMatch(/^attachment/);
  expect(headers['x-content-type-options']).toBe('nosniff');
  expect(headers['content-security-policy']).toMatch(/^sandbox; default-src 'none'/);
});

test('ranges, conditions and HEAD', async () => {
  await writeFile(join(site.workspace, 'a.txt'), '0123456789');
  const part = await site.ask(`${FILES}/a.txt`, { headers: { range: 'bytes=2-4' } });
  expect([part.status, part.text, part.headers['content-range']]).toEqual([206, '234', 'bytes 2-4/10']);
  const beyond = await site.ask(`${FILES}/a.txt`, { headers: { range: 'bytes=10-' } });
  expect([beyond.status, beyond.text, beyond.headers['content-range']]).toEqual([416, '', 'bytes */10']);
  const etag = String(part.headers.etag);
  const same = await site.ask(`${FILES}/a.txt`, { headers: { 'if-none-match': etag } });
  expect([same.status, same.text]).toEqual([304, '']);
  await writeFile(join(site.workspace, 'a.txt'), 'changed');
  expect((await site.ask(`${FILES}/a.txt`, { headers: { 'if-none-match': etag } })).text).toBe('changed');
  expect((await site.ask(`${FILES}/a.txt`, { headers: { range: 'bytes=0-1', 'if-range': etag } })).text).toBe(
    'changed',
  );
  const head = await site.ask(`${FILES}/a.txt`, { method: 'HEAD' });
  expect([head.status, head.headers['content-length'], head.text]).toEqual([200, '7', '']);
});

test('an empty file is got whole', async () => {
  await put('empty', '');
  const reply = await site.ask(`${FILES}/empty`);
  expect([reply.status, reply.text, reply.headers['content-length']]).toEqual([200, '', '0']);
});

test('If-Match writes only over the content that it names', async () => {
  await put('a.txt', 'one');
  const wrong = await put('a.txt', 'two', { 'if-match': `"${sha('other')}"` });
  expect([wrong.status, errorName(wrong)]).toEqual([412, 'HASH_MISMATCH']);
  expect(await readFile(join(site.workspace, 'a.txt'), 'utf8')).toBe('one');
  expect((await put('a.txt', 'two', { 'if-match': `"${sha('one')}"` })).status).toBe(200);
  expect((await put('a.txt', 'three', { 'if-match': '"abc"' })).status).toBe(400);
});

test('an upload that is too large, or ends early, changes nothing and leaves nothing', async () => {
  await put('a.txt', 'before');
  const large = await put('a.txt', Buffer.alloc(21 * 1024 * 1024));
  expect([large.status, errorName(large)]).toEqual([413, 'TOO_LARGE']);
  await new Promise<void>((resolve) => {
    const half = request({
      host: '127.0.0.1',
      port: site.port,
      path: `${FILES}/a.txt`,
      method: 'PUT',
      headers: { authorization: `Bearer ${site.admin}`, 'content-length': 1000 },
    });
    half.on('error', () => resolve());
    half.write('x'.repeat(500), () => half.destroy());
  });
  for (;;) {
    const names = await readdir(site.workspace);
    if (names.length === 1) break;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(await readFile(join(site.workspace, 'a.txt'), 'utf8')).toBe('before');
});

test.each([
  ['..%2f..%2fetc%2fpasswd', 403, 'PATH_OUTSIDE'],
  ['%2fetc%2fpasswd', 403, 'PATH_OUTSIDE'],
  ['link', 403, 'PATH_OUTSIDE'],
  ['dirlink/passwd', 403, 'PATH_OUTSIDE'],
  ['none', 404, 'FILE_NOT_FOUND'],
  ['dir', 409, 'WRONG_FILE_KIND'],
  ['a%00b', 400, 'INVALID_PARAMS'],
])('GET %s is %s %s, without a path of the host', async (path, status, name) => {
  await symlink('/etc/passwd', join(site.workspace, 'link'));
  await symlink('/etc', join(site.workspace, 'dirlink'));
  await mkdir(join(site.workspace, 'dir'));
  const reply = await site.ask(`${FILES}/${path}`);
  expect([reply.status, errorName(reply)]).toEqual([status, name]);
  expect(reply.text).not.toContain(site.workspace);
});

test('viewers see no files, and a token of one slot gets the same answer for every other', async () => {
  const viewer = await site.token('viewer');
  expect((await site.ask(`${FILES}/a`, { token: viewer })).status).toBe(403);
  const other = await site.token('agent', 'slot_7');
  const there = await site.ask(`${FILES}/a`, { token: other });
  const missing = await site.ask('/slots/nowhere/files/a', { token: other });
  expect([there.status, there.text]).toEqual([missing.status, missing.text]);
  expect((await site.ask('/slots/nowhere/files/a')).status).toBe(404);
});

test.each([
  ['tar.gz', ['tar', '-tzf', '-']],
  [
    'zip',
    [
      'python3',
      '-c',
      'import sys,io,zipfile\nprint("\\n".join(zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read())).namelist()))',
    ],
  ],
])('the workspace as %s', async (format, [command = '', ...args]) => {
  await put('src/a.txt', 'a');
  await put('b.txt', 'b');
  const reply = await site.ask(`/slots/slot_0/archive?format=${format}`);
  expect(reply.headers['content-disposition']).toContain(`filename="slot_0.${format}"`);
  const names = execFileSync(command, args, { input: reply.body }).toString().trim().split('\n').sort();
  expect(names.filter((name) => name.endsWith('.txt'))).toEqual(['b.txt', 'src/a.txt']);
});

test('who asks for an archive and leaves at once is no defect in the log', async () => {
  await writeFile(join(site.workspace, 'a.txt'), 'x');
  const token = await site.token('agent');
  const ask = `GET /slots/slot_0/archive HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\n\r\n`;
  const leave = (): Promise<unknown> =>
    new Promise((resolve) => {
      const socket = connect(site.port, '127.0.0.1', () => socket.end(ask)).resume();
      socket.on('close', resolve).on('error', resolve);
    });
  for (let time = 0; time < 10; time++) await Promise.all(Array.from({ length: 10 }, leave));
  await site.ask(`${FILES}/a.txt`);
  expect(site.logged.join('')).not.toContain('request failed');
});

test('an archive of what is not there, or in another format, is refused; one that is left early is let go', async () => {
  expect((await site.ask('/slots/slot_0/archive?path=none')).status).toBe(404);
  expect((await site.ask('/slots/slot_0/archive?format=rar')).status).toBe(400);
  await truncate(join(site.workspace, 'sparse'), 0).catch(() => {});
  await writeFile(join(site.workspace, 'sparse'), '');
  await truncate(join(site.workspace, 'sparse'), 4 * 1024 ** 3);
  await new Promise<void>((resolve) => {
    const headers = { authorization: `Bearer ${site.admin}` };
    const left = request({ host: '127.0.0.1', port: site.port, path: '/slots/slot_0/archive', headers });
    left.on('response', (response) => response.once('data', () => left.destroy()));
    left.on('close', () => resolve());
    left.on('error', () => {});
    left.end();
  });
  for (let open = 1; open > 0; ) {
    const links = await Promise.all((await readdir('/proc/self/fd')).map((fd) => readlinkOf(fd)));
    open = links.filter((link) => link.includes(site.workspace)).length;
  }
});

async function readlinkOf(fd: string): Promise<string> {
  const { readlink } = await import('node:fs/promises');
  return await readlink(`/proc/self/fd/${fd}`).catch(() => '');
}
