// What holds for every route: Host, Origin, credentials, security headers, errors, slow clients; and the page, health and metrics.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Hono } from 'hono';
import { afterEach, describe, expect, test } from 'vitest';
import type { HttpEnv } from '../../../server/http/env.ts';
import { type Ask, errorName, type Site, type SiteOptions, startSite } from './harness.ts';

const open: Site[] = [];
const start = async (options?: SiteOptions): Promise<Site> => {
  const site = await startSite(options);
  open.push(site);
  return site;
};
afterEach(async () => {
  await Promise.all(open.splice(0).map((site) => site.close()));
});

const everyRoute: readonly [string, string][] = [
  ['GET', '/session'],
  ['POST', '/session/tickets'],
  ['POST', '/tokens'],
  ['DELETE', '/tokens/tok_1'],
  ['GET', '/casts'],
  ['GET', '/casts/cast_1.cast'],
  ['GET', '/casts/cast_1/index.json'],
  ['GET', '/casts/cast_1/segment-0.json'],
  ['GET', '/slots/slot_0/files/a'],
  ['PUT', '/slots/slot_0/files/a'],
  ['GET', '/slots/slot_0/archive'],
];

test.each(everyRoute)('%s %s needs a credential', async (method, path) => {
  const site = await start();
  for (const token of [null, 'wrong']) {
    const reply = await site.ask(path, { method, token });
    expect([reply.status, errorName(reply)]).toEqual([401, 'UNAUTHENTICATED']);
    expect(reply.headers['www-authenticate']).toBe('Bearer');
  }
});

describe.each(['/', '/healthz', '/casts', '/nowhere'])('%s', (path) => {
  test.each<[string, Ask]>([
    ['a foreign Host', { headers: { host: 'evil.example' } }],
    ['a foreign Origin', { headers: { origin: 'https://evil.example' } }],
    ['Origin null', { headers: { origin: 'null' } }],
    ['an Origin on another port', { headers: { origin: 'http://127.0.0.1:1' } }],
    ['a load from another site', { headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' } }],
    [
      'a form of another site',
      { method: 'POST', headers: { origin: 'https://evil.example', 'content-type': 'text/plain' }, body: '{}' },
    ],
  ])('refuses %s', async (_name, ask) => {
    const reply = await (await start()).ask(path, ask);
    expect([reply.status, errorName(reply)]).toEqual([403, 'FORBIDDEN']);
  });

  test('carries the security headers', async () => {
    const { headers } = await (await start()).ask(path);
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
    });
    expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
    expect(headers['content-security-policy']).not.toContain('unsafe-inline');
    expect(headers['access-control-allow-origin']).toBeUndefined();
  });
});

test('a token in the URL is refused and appears nowhere', async () => {
  const site = await start();
  const canary = 'CANARY-91c2';
  for (const path of ['/casts', '/', '/healthz']) {
    const reply = await site.ask(`${path}?token=${canary}`);
    expect([reply.status, errorName(reply)]).toEqual([401, 'UNAUTHENTICATED']);
    expect(reply.text).not.toContain(canary);
  }
  expect(site.logged.join('')).not.toContain(canary);
});

test.each([
  '/../../etc/passwd',
  '/%2e%2e/%2e%2e/etc/passwd',
  '/..%5c..%5cetc',
  '/..%2f..%2fetc/passwd',
  '//etc/passwd',
  '/casts/../../etc',
])('%s is not found', async (path) => {
  const reply = await (await start()).ask(path);
  expect([reply.status, errorName(reply)]).toEqual([404, 'METHOD_NOT_FOUND']);
});

test('a request whose Host or address can not be parsed is refused in the same form', async () => {
  const site = await start();
  for (const ask of [{ headers: { host: 'a b' } }, { headers: { host: '127.0.0.1:99999' } }]) {
    const reply = await site.ask('/', ask);
    expect([400, 403]).toContain(reply.status);
    expect(['INVALID_REQUEST', 'FORBIDDEN']).toContain(errorName(reply));
    expect(reply.headers['x-content-type-options']).toBe('nosniff');
  }
});

test('a defect is 500 with an id that finds it in the log, and nothing of it for the caller', async () => {
  const more = new Hono<HttpEnv>();
  more.get('/broken', () => {
    throw new Error("open '/var/lib/slotcast/secret.key'");
  });
  const site = await start({ more });
  const reply = await site.ask('/broken');
  expect([reply.status, errorName(reply)]).toEqual([500, 'INTERNAL']);
  expect(reply.text).not.toMatch(/secret|var\/lib/);
  const id = /err_[0-9a-f]{12}/.exec(reply.text)?.[0] ?? 'none';
  expect(site.logged.join('')).toContain(id);
  expect(site.logged.join('')).toContain('/var/lib/slotcast/secret.key');
});

test('a client that sends its header slowly, or nothing at all, is cut off', async () => {
  const site = await start({ headersTimeoutMs: 300 });
  const cutOff = (text: string): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect(site.port, '127.0.0.1', () => socket.write(text));
      let heard = '';
      socket.on('data', (chunk) => {
        heard += chunk.toString();
      });
      socket.on('close', () => resolve(heard));
    });
  expect(await Promise.all([cutOff('GET / HTTP/1.1\r\nHost: localhost\r\n'), cutOff('')])).toEqual([
    expect.stringMatching(/^(HTTP\/1.1 408 |$)/),
    expect.stringMatching(/^(HTTP\/1.1 408 |$)/),
  ]);
}, 10_000);

describe('health', () => {
  test('/healthz and a ready /readyz need no credential', async () => {
    const site = await start();
    expect((await site.ask('/healthz', { token: null })).json()).toEqual({ status: 'ok' });
    expect((await site.ask('/readyz', { token: null })).json()).toEqual({ ready: true });
  });

  test('/readyz is 503 with the reason and the remedy', async () => {
    const site = await start({
      capabilities: () => ({
        sandbox: { ok: false, detail: 'bwrap is not installed', remedy: 'apt-get install bubblewrap' },
      }),
    });
    const reply = await site.ask('/readyz', { token: null });
    expect(reply.status).toBe(503);
    expect(reply.json()).toEqual({
      ready: false,
      obstacles: [{ name: 'sandbox', reason: 'bwrap is not installed', remedy: 'apt-get install bubblewrap' }],
    });
  });

  test('what was not probed is not ready, nor is a gateway that goes down', async () => {
    const site = await start({ capabilities: () => ({}), draining: () => true });
    const reply = (await site.ask('/readyz')).json<{ obstacles: { name: string }[] }>();
    expect(reply.obstacles.map(({ name }) => name)).toEqual(['draining', 'sandbox']);
  });
});

describe('metrics', () => {
  test('count slots, connections, and calls, as Prometheus reads them', async () => {
    const site = await start();
    site.metrics.observeCall({ method: 'exec.run', outcome: 'ok', durationMs: 7 });
    site.metrics.observeCall({ method: 'exec.run', outcome: 'SLOT_BUSY', durationMs: 1 });
    const { text, headers } = await site.ask('/metrics', { token: null });
    expect(headers['content-type']).toContain('text/plain');
    for (const line of [
      'slotcast_slots{state="leased"} 1',
      'slotcast_slots{state="failed"} 0',
      'slotcast_viewers 2',
      'slotcast_processes 3',
      'slotcast_connections 7',
      'slotcast_rpc_calls_total{method="exec.run",outcome="SLOT_BUSY"} 1',
      'slotcast_rpc_duration_seconds_bucket{le="0.01",method="exec.run"} 2',
      'slotcast_process_cpu_seconds_total',
    ]) {
      expect(text).toContain(line);
    }
    expect(text).toContain('slotcast_recordings_failing 1');
    expect(text).toContain('slotcast_recording_lost_frames_total 23');
  });

  test('need a token when the request came through a proxy', async () => {
    const site = await start();
    const headers = { 'x-forwarded-for': '203.0.113.5' };
    expect((await site.ask('/metrics', { token: null, headers })).status).toBe(401);
    expect((await site.ask('/metrics', { token: await site.token('viewer'), headers })).status).toBe(200);
  });
});

describe('the page', () => {
  test('that was not built says what this is', async () => {
    const reply = await (await start()).ask('/', { token: null });
    expect(reply.status).toBe(200);
    expect(reply.headers['content-type']).toContain('text/plain');
    for (const word of ['slotcast', '/ws', '/healthz', 'rpc.discover']) expect(reply.text).toContain(word);
  });

  test('is served with its parts, to browsers at every address inside of it, and nothing else is', async () => {
    const pageDir = await mkdtemp(join(tmpdir(), 'slotcast-page-'));
    await mkdir(join(pageDir, 'assets'));
    await writeFile(join(pageDir, 'index.html'), '<title>slotcast</title>');
    const code = 'start();'.repeat(100);
    await writeFile(join(pageDir, 'assets', 'app-1a2b.js'), code);
    const site = await start({ pageDir });
    await rm(pageDir, { recursive: true });
    const page = await site.ask('/', { token: null });
    expect([page.status, page.text, page.headers['content-type']]).toEqual([
      200,
      '<title>slotcast</title>',
      'text/html; charset=utf-8',
    ]);
    const script = await site.ask('/assets/app-1a2b.js', { token: null });
    expect(script.headers).toMatchObject({
      'content-type': 'text/javascript; charset=utf-8',
      'cache-control': 'public, max-age=31536000, immutable',
    });
    expect([script.text, script.headers['content-encoding']]).toEqual([code, undefined]);
    const packed = await fetch(`http://127.0.0.1:${site.port}/assets/app-1a2b.js`, {
      headers: { 'accept-encoding': 'gzip, br' },
    });
    expect([await packed.text(), packed.headers.get('content-encoding')]).toEqual([code, 'gzip']);
    const again = await site.ask('/', { headers: { 'if-none-match': String(page.headers.etag) } });
    expect([again.status, again.text]).toEqual([304, '']);
    expect((await site.ask('/slot/slot_1', { headers: { accept: 'text/html,*/*' } })).text).toBe(page.text);
    expect((await site.ask('/slot/slot_1')).status).toBe(404);
    expect((await site.ask('/assets/none.js', { headers: { accept: 'text/html' } })).status).toBe(404);
  });
});
