// The gateway's port under damaged HTTP over raw sockets: each request is answered or its connection closed, none is a defect, and others go on.
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Client, connect as connectClient } from '../../client/index.ts';
import { readConfig } from '../../server/config.ts';
import { Gateway } from '../../server/gateway.ts';
import { asFound, asked, timeout } from './fuzz.ts';
import { damage, oddText } from './mutation.ts';

/** An answer comes within milliseconds; on a busy machine a bit later. */
const PATIENCE_MS = 10_000;
const SILENCE_MS = 60;
/** Sockets at a time. */
const SIDE_BY_SIDE = 10;

let gateway: Gateway;
const dataDir = mkdtempSync(join(tmpdir(), 'slotcast-fuzz-'));
/** What the gateway logged as an error: a defect, whether anybody was left to be told of it or not. */
const defects: string[] = [];
let client: Client;
let seeds: readonly Buffer[] = [];

beforeAll(async () => {
  const argv = ['--port', '0', '--data-dir', dataDir, '--slots', '2'];
  const log = pino({ level: 'error' }, { write: (line: string) => void defects.push(line) });
  gateway = await Gateway.open(readConfig({ argv, env: {}, isRoot: process.getuid?.() === 0 }), log);
  client = await connectClient({ url: gateway.url, token: gateway.adminToken });
  const { slot, cast } = await client.call('slot.acquire', {});
  await client.call('terminal.run', { command: 'echo hi' });
  await client.call('file.write', { path: 'd/é.txt', data: 'x'.repeat(1000) });
  seeds = requests(slot, cast).map((text) => Buffer.from(text));
});
afterAll(async () => {
  await client?.close();
  await gateway?.close();
  rmSync(dataDir, { recursive: true, force: true });
});

/** One of each kind that a client or a page sends. */
function requests(slot: string, cast: string): string[] {
  const head = (line: string, ...headers: string[]): string =>
    `${[`${line} HTTP/1.1`, `Host: ${gateway.url.slice(7)}`, `Authorization: Bearer ${gateway.adminToken}`, ...headers].join('\r\n')}\r\n\r\n`;
  const upgrade = [
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  ];
  const json = (body: string): string[] => [
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  const order = '{"role":"viewer","slot":"slot_0","ttlMs":1000}';
  return [
    head('GET /'),
    head('GET /healthz', 'Connection: close'),
    head('GET /readyz'),
    head('GET /metrics'),
    head('GET /casts?limit=5&slot=slot_0&search=echo&from=0&to=99999999999999'),
    head(`GET /casts/${cast}.cast`, 'Range: bytes=0-10', 'If-Range: "x"'),
    head(`GET /casts/${cast}.cast?format=v2`),
    head(`GET /casts/${cast}.cast?format=txt`),
    head(`HEAD /casts/${cast}.cast`, 'If-None-Match: "a", W/"b"'),
    head(`GET /casts/${cast}/index.json?until=100`),
    head(`GET /casts/${cast}/segment-0.json?until=100`),
    head(`GET /slots/${slot}/files/d/%C3%A9.txt`, 'Range: bytes=-5'),
    `${head(`PUT /slots/${slot}/files/d/b.txt`, 'Content-Length: 5', 'Expect: 100-continue')}hello`,
    `${head(`PUT /slots/${slot}/files/c.txt`, 'Transfer-Encoding: chunked')}5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nTrailer: x\r\n\r\n`,
    `${head(`PUT /slots/${slot}/files/b.txt`, 'Content-Length: 2', `If-Match: "${'0'.repeat(64)}"`)}hi`,
    head(`GET /slots/${slot}/archive?path=d&format=zip`),
    head('POST /tokens', ...json(order)) + order,
    head('DELETE /tokens/tok_1'),
    `${head('POST /session', ...json('{"ticket":"x"}'))}{"ticket":"x"}`,
    head('GET /session', 'Cookie: slotcast=x; a=b', 'Sec-Fetch-Site: same-origin'),
    `${head('POST /session/tickets', ...json('{}'))}{}`,
    head('OPTIONS *'),
    head('GET /ws', ...upgrade, 'Sec-WebSocket-Protocol: slotcast.v1'),
    head(`GET /ws?slot=${slot}`, ...upgrade, 'Sec-WebSocket-Protocol: slotcast.v1, slotcast.bearer.eA'),
    head(`GET /live/${slot}?until=1`, ...upgrade, 'Sec-WebSocket-Protocol: v1.alis', 'Origin: null'),
    head(`GET http://${gateway.url.slice(7)}/healthz`),
  ];
}

interface Answer {
  readonly text: string;
  /** The gateway closed, or was told that nothing follows and then closed. */
  readonly closed: boolean;
}

/** Sends all of it, and, when the gateway has said nothing for a moment, that nothing follows; reads to the end. Who waits does so for the first word. */
function exchange(parts: readonly Buffer[], how: 'waits' | 'goes on' | 'leaves' = 'goes on'): Promise<Answer> {
  return new Promise((resolve) => {
    const { hostname, port } = new URL(gateway.url);
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    const heard: Buffer[] = [];
    const finish = (closed: boolean): void => {
      clearTimeout(patience);
      clearTimeout(silence);
      socket.destroy();
      resolve({ text: Buffer.concat(heard).toString('latin1'), closed });
    };
    const patience = setTimeout(() => finish(false), PATIENCE_MS);
    // Not at once: to Node, who has nothing more to say does not want to hear either.
    const silence = setTimeout(() => (how !== 'waits' || heard.length > 0) && socket.end(), SILENCE_MS);
    socket.on('data', (data) => {
      heard.push(data);
      silence.refresh();
    });
    for (const event of ['error', 'end', 'close']) socket.on(event, () => finish(true));
    for (const part of parts) socket.write(part);
    if (how === 'leaves') socket.end();
  });
}

function expectSound({ text, closed }: Answer): void {
  expect(defects).toEqual([]);
  expect(closed, `no end after ${JSON.stringify(text.slice(0, 2000))}`).toBe(true);
  if (text === '') return;
  expect(text).toMatch(/^HTTP\/1\.1 [1-5]\d\d /);
  // 503 would be a gateway that lacks something; 5xx beyond that a defect.
  for (const [, status] of text.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)) expect(Number(status), text).toBeLessThan(500);
  expect(text).not.toMatch(/"INTERNAL"|err_[0-9a-f]{12}|node:internal|\/proc\/self|slotcast-fuzz-/);
}

const odd = fc.oneof(
  oddText,
  fc.string({ unit: 'binary', maxLength: 10 }),
  fc.constantFrom('%2e%2e', '%ff', 'a b', '?', '#', '*', 'x:y', '[::1', '@'),
);

/** The request line, a header or the body is another one. */
const restated = (): fc.Arbitrary<Buffer> =>
  fc.tuple(fc.constantFrom(...seeds), fc.nat(), odd, fc.nat(3)).map(([seed, which, text, kind]) => {
    const [head = '', ...body] = seed.toString().split('\r\n\r\n');
    const lines = head.split('\r\n');
    if (kind === 0) {
      const words = (lines[0] ?? '').split(' ');
      words[which % 3] = which % 3 === 1 ? `/${text}` : text;
      lines[0] = words.join(' ');
    } else if (kind === 1) {
      const at = 1 + (which % Math.max(1, lines.length - 1));
      lines[at] = `${lines[at]?.split(':')[0]}: ${text}`;
    } else if (kind === 2) {
      const path = (lines[0] ?? '').split('/');
      path[Math.max(1, which % path.length)] = text;
      lines[0] = path.join('/');
    } else lines.push(lines[which % lines.length] ?? '', `${text}: ${text}`);
    return Buffer.from([lines.join('\r\n'), ...body].join('\r\n\r\n'));
  });

function request(): fc.Arbitrary<Buffer> {
  const damaged = fc.tuple(fc.constantFrom(...seeds), damage(seeds)).map(([seed, change]) => change(seed));
  return fc.oneof(
    { weight: 1, arbitrary: fc.constantFrom(...seeds) },
    { weight: 3, arbitrary: damaged },
    { weight: 4, arbitrary: restated() },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
  );
}

test('every request as a client sends it is answered', { timeout }, async () => {
  for (const seed of seeds) {
    const answer = await exchange([seed], 'waits');
    expectSound(answer);
    expect(answer.text, seed.toString()).not.toBe('');
  }
});

test('who asks and leaves at once makes no defect', { timeout }, async () => {
  for (let time = 0; time < 5; time++) {
    for (const answer of await Promise.all(seeds.map((seed) => exchange([seed], 'leaves')))) expectSound(answer);
  }
});

test('damaged requests are answered or cut off, one after the other on one socket, and none is a defect', {
  timeout,
}, async () => {
  const onOneSocket = fc.array(request(), { minLength: 1, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(fc.array(onOneSocket, { minLength: SIDE_BY_SIDE, maxLength: SIDE_BY_SIDE }), async (sockets) => {
      for (const answer of await Promise.all(sockets.map((parts) => exchange(parts)))) expectSound(answer);
    }),
    asked(40, asFound),
  );
  expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200);
  await client.call('server.info', {});
});

test('any text in the place of an address is no defect, also in a handshake', { timeout }, async () => {
  const handshake = seeds.filter((seed) => seed.includes('Upgrade')).concat(seeds[1] ?? []);
  const address = fc
    .tuple(fc.constantFrom('/', '/ws?', '/live/', '/slots/', '/casts/'), odd, odd)
    .map((words) => words.join('').replaceAll(/[\0-\x20]/g, ''));
  await fc.assert(
    fc.asyncProperty(fc.array(address, { minLength: SIDE_BY_SIDE, maxLength: SIDE_BY_SIDE }), async (addresses) => {
      const asks = addresses.map((text, index) => {
        const [, ...lines] = String(handshake[index % handshake.length]).split('\r\n');
        return exchange([Buffer.from([`GET ${text} HTTP/1.1`, ...lines].join('\r\n'))]);
      });
      for (const answer of await Promise.all(asks)) expectSound(answer);
    }),
    asked(15, { ...asFound, examples: [[['//', '///', '//[', '/ws?%', '/live/%', '/live/..', '/ws?slot=%00']]] }),
  );
});
