// Uploads and downloads that lie, break off, race or are cut under way: nothing half is ever there, and no reply is taken for another.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { connect as connectClient, type Slot } from '../../client/index.ts';
import { attack } from './attack.ts';
import type { User } from './catalogue.ts';
import { ADDRESS, type Target, TOKEN, targets } from './gateway.ts';
import { http, outcomeOf, raw } from './outside.ts';

const of = targets();
const boxes = new Map<User, Promise<Box>>();

/** One slot for each user, which all attacks share; each works in names of its own. */
interface Box {
  readonly gateway: Target;
  readonly slot: Slot;
  readonly files: string;
  sh(command: string): Promise<string>;
}

function box(as: User): Promise<Box> {
  const made = boxes.get(as) ?? makeBox(as);
  boxes.set(as, made);
  return made;
}

async function makeBox(as: User): Promise<Box> {
  const gateway = await of(as);
  const slot = await gateway.slot();
  const sh = async (command: string) => (await slot.exec.run({ command })).stdout;
  return { gateway, slot, files: `/slots/${slot.name}/files`, sh };
}

/** A connection on which a request was begun and, unless the body says so, not finished. */
async function begin(gateway: Target, head: string, body = ''): Promise<Socket> {
  const socket = connect(gateway.port, ADDRESS);
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(`${head}\r\nhost: 127.0.0.1:${gateway.port}\r\nauthorization: Bearer ${TOKEN}\r\n\r\n${body}`);
  return socket;
}

/** Hidden files of the gateway in a directory, as the slot sees them. */
/** Files that are being written: the slot sees none of them. */
async function temps({ sh, gateway, slot }: Box, dir: string): Promise<number> {
  expect(await sh(`ls -A ${dir} | grep -c '[.]tmp$' || true`)).toBe('0\n');
  return readdirSync(join(gateway.dataDir, 'slots', slot.name, 'drafts')).length;
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

describe('B', () => {
  attack('B23', async (as) => {
    const here = await box(as);
    const { gateway, slot, files, sh } = here;
    await slot.file.write({ path: 'up/old', data: 'old' });
    const none = () => expect.poll(() => temps(here, 'up'), { timeout: 10_000 }).toBe(0);
    // Broken off in the middle: by a hang-up, and by a reset; told in advance, and in chunks.
    for (const [header, end] of [
      ['content-length: 1000000', 'end'],
      ['content-length: 1000000', 'reset'],
      ['transfer-encoding: chunked', 'reset'],
    ] as const) {
      const body = header.startsWith('c') ? 'x'.repeat(100_000) : `186a0\r\n${'x'.repeat(100_000)}\r\n`;
      const sockets = await Promise.all(
        ['old', 'new', 'new/parents/file'].map((name) =>
          begin(gateway, `PUT ${files}/up/${name} HTTP/1.1\r\n${header}`, body),
        ),
      );
      await expect.poll(() => temps(here, 'up'), { timeout: 10_000 }).toBe(3);
      for (const socket of sockets) end === 'end' ? socket.destroy() : socket.resetAndDestroy();
      await none();
    }
    expect(await sh('ls -A up; cat up/old')).toBe('old\nold');
    // More than was told is no part of the file, and no request of its own either.
    const smuggled = `DELETE /slots HTTP/1.1\r\nhost: x\r\n\r\n`;
    const long = await raw(gateway, {
      method: 'PUT',
      path: `${files}/up/long`,
      headers: { 'content-length': '3', connection: 'close' },
      body: `abc${smuggled}`,
    });
    expect(long.text.match(/^HTTP\/1\.1 (200|400)/gm)).toHaveLength(1);
    expect(await sh('cat up/long; rm -f up/long')).toBe(long.status === 200 ? 'abc' : '');
    const lies: readonly Record<string, string>[] = [
      { 'content-length': '-1' },
      { 'content-length': '1e3' },
      { 'content-length': '3, 4' },
      { 'content-length': '99999999999999999999999' },
      { 'content-length': '3', 'transfer-encoding': 'chunked' },
      { 'transfer-encoding': 'chunked, nonsense' },
    ];
    for (const headers of lies) {
      const { status } = await raw(gateway, { method: 'PUT', path: `${files}/up/lie`, headers, body: 'abc' });
      expect([headers, status]).toEqual([headers, 400]);
    }
    const chunk = { 'transfer-encoding': 'chunked' };
    const badChunk = await raw(gateway, {
      method: 'PUT',
      path: `${files}/up/lie`,
      headers: chunk,
      body: 'zz\r\nabc\r\n',
    });
    expect(badChunk.status === 400 || badChunk.text === '').toBe(true);
    await none();
    expect(await sh('ls -A up')).toBe('old\n');
  });

  attack('B24', async (as) => {
    const here = await box(as);
    const { gateway, slot, files, sh } = here;
    const put = (path: string, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
      http(gateway, `${files}/${path}`, { method: 'PUT', body, headers });
    // Each is there whole, at every moment.
    const contents = Array.from({ length: 6 }, (_, n) => String.fromCharCode(97 + n).repeat(3_000_000));
    const uploads = Promise.all(contents.map((content) => put('raced/file', content)));
    let over = false;
    const reads = (async () => {
      const seen: string[] = [];
      while (!over) seen.push((await slot.file.readText('raced/file').catch(() => '')).slice());
      return seen;
    })();
    expect((await uploads).map(({ status }) => status)).toEqual(contents.map(() => 200));
    over = true;
    const whole = new Set(['', ...contents]);
    expect((await reads).every((content) => whole.has(content))).toBe(true);
    expect(await temps(here, 'raced')).toBe(0);
    // Of many that expect the same content one wins, by whichever way they come.
    for (let round = 0; round < 5; round += 1) {
      const before = `before ${round}`;
      await slot.file.write({ path: 'raced/guarded', data: before });
      const expectedSha256 = hashOf(before);
      const results = await Promise.all([
        ...[1, 2, 3].map((n) =>
          outcomeOf(slot.file.write({ path: 'raced/guarded', data: `rpc ${n}`, expectedSha256 })),
        ),
        ...[1, 2, 3].map(
          async (n) => (await put('raced/guarded', `http ${n}`, { 'if-match': `"${expectedSha256}"` })).status,
        ),
      ]);
      expect(results.filter((result) => result === 'ok' || result === 200)).toHaveLength(1);
      expect(results.filter((result) => result === 'HASH_MISMATCH' || result === 412)).toHaveLength(5);
    }
    // A guarded upload that waits for its last byte must not hold up others, nor win over them afterwards.
    const socket = await begin(
      gateway,
      `PUT ${files}/raced/slow HTTP/1.1\r\nconnection: close\r\ncontent-length: 4\r\nif-match: "${hashOf('first')}"`,
      'los',
    );
    await expect.poll(() => temps(here, 'raced'), { timeout: 10_000 }).toBe(1);
    await slot.file.write({ path: 'raced/slow', data: 'first' });
    await slot.file.write({ path: 'raced/slow', data: 'second' });
    let reply = '';
    socket.on('data', (data) => {
      reply += data;
    });
    socket.write('e');
    await once(socket, 'close');
    expect(reply).toMatch(/^HTTP\/1\.1 412 /);
    expect(await sh('cat raced/slow; ls -A raced')).toBe('secondfile\nguarded\nslow\n');
  });

  attack('B25', async (as) => {
    const { gateway, files, sh } = await box(as);
    // Too large for the buffers of the connection, so that it is cut while it is sent; the next reply must not fill it up.
    await sh('truncate -s 200M cut');
    const socket = await begin(gateway, `GET ${files}/cut HTTP/1.1`);
    await once(socket, 'data');
    socket.pause();
    await sh('truncate -s 1000 cut');
    let bytes = 0;
    socket.on('data', (data) => {
      bytes += data.length;
    });
    socket.resume();
    socket.write(`GET /healthz HTTP/1.1\r\nhost: 127.0.0.1:${gateway.port}\r\n\r\n`);
    const started = performance.now();
    await new Promise((resolve) => socket.once('close', resolve));
    expect(performance.now() - started).toBeLessThan(5000);
    expect(bytes).toBeLessThan(200 * 1024 ** 2);
    // A file that is removed or replaced is still sent whole.
    await sh('head -c 30000000 /dev/zero >gone');
    const reply = await http(gateway, `${files}/gone`);
    await sh('echo other >x; mv x gone; rm gone');
    expect((await reply.arrayBuffer()).byteLength).toBe(30_000_000);
  });

  attack('B26', async (as) => {
    const { gateway, slot, files } = await box(as);
    await slot.file.write({ path: 'ranged', data: '0123456789' });
    await slot.file.write({ path: 'empty', data: '' });
    const get = (range: string, name = 'ranged') => raw(gateway, { path: `${files}/${name}`, headers: { range } });
    const bodyOf = (text: string): string => text.slice(text.indexOf('\r\n\r\n') + 4);
    const parts = [
      ['bytes=0-0', '0'],
      ['bytes=9-', '9'],
      ['bytes=-3', '789'],
      ['bytes=-99999999999999999999999', '0123456789'],
      ['bytes=2-99999999999999999999999', '23456789'],
    ] as const;
    for (const [range, body] of parts) {
      const { status, text } = await get(range);
      expect([range, status, bodyOf(text)]).toEqual([range, 206, body]);
    }
    for (const range of ['bytes=10-', 'bytes=99999999999999999999999-', 'bytes=-0', `bytes=${'9'.repeat(400)}-`]) {
      const { status, text } = await get(range);
      expect([range, status, /content-range: (.*)\r/.exec(text)?.[1]]).toEqual([range, 416, 'bytes */10']);
    }
    const many = `bytes=${Array(1000).fill('0-').join(',')}`;
    for (const range of [
      'bytes=5-2',
      'bytes=-',
      'bytes=a-b',
      'bytes=-1-2',
      'bytes=1.5-',
      'octets=0-1',
      'bytes=0x0-',
      many,
      '',
    ]) {
      const { status, text } = await get(range);
      expect([range.slice(0, 20), status, bodyOf(text)]).toEqual([range.slice(0, 20), 200, '0123456789']);
    }
    for (const range of ['bytes=0-', 'bytes=-1', 'bytes=0-0'])
      expect([range, (await get(range, 'empty')).status]).toEqual([range, 416]);
  });

  attack(
    'B29',
    async (as) => {
      const gateway = await of(as);
      // Without checks of its own, so that replies are taken as fast as they come.
      const client = await connectClient({ url: gateway.url, token: TOKEN });
      const slot = await client.acquire();
      await slot.exec.run({ command: 'head -c 12000000 /dev/urandom >large' });
      const before = gateway.memory();
      let most = before;
      const looking = setInterval(() => {
        most = Math.max(most, gateway.memory());
      }, 20);
      try {
        const reads = Array.from({ length: 20 }, async () => {
          const { bytes } = await slot.file.read({ path: 'large', encoding: 'base64', maxBytes: 16_000_000 });
          return bytes;
        });
        expect(new Set(await Promise.all(reads))).toEqual(new Set([12_000_000]));
      } finally {
        clearInterval(looking);
        await slot.release();
        await client.close();
      }
      // All at once would be more than half a gigabyte.
      expect(most - before).toBeLessThan(450 * 1024 ** 2);
    },
    90_000,
  );
});
