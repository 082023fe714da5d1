// Against the doors: who comes without a credential, with a wrong one or with one for something else, learns nothing and changes nothing.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { z } from 'zod';
import type { Slot } from '../../client/index.ts';
import { type MethodName, methods } from '../../protocol/contract.ts';
import { Client } from '../unit/rpc/harness.ts';
import { attackOnce } from './attack.ts';
import type { User } from './catalogue.ts';
import { ADDRESS, CANARY, target as startTarget, type Target, TOKEN, targets } from './gateway.ts';
import { ask, BINARY, frame, handshake, TEXT, Wire } from './wire.ts';

/** The same whoever runs the gateway. */
const me: User = process.getuid?.() === 0 ? 'root' : 'user';
const of = targets({ flags: ['--log-level', 'trace'] });
let target: Target;
const open: { close(): void }[] = [];

beforeAll(async () => {
  target = await of(me);
});
afterAll(() => {
  for (const one of open) one.close();
});

const sockets = ['/ws', '/live/slot_0'] as const;

/** The reply to a handshake with these headers, and no other credential. */
async function shake(path: string, headers: readonly string[], host?: string): Promise<string> {
  const wire = await Wire.open(target.port);
  const request = handshake(target.port, { path, headers });
  wire.send(host === undefined ? request : request.replace(/Host: .*\r\n/, `Host: ${host}\r\n`));
  await wire.until(() => wire.heard.includes('\r\n\r\n'));
  if (wire.status !== 101) await wire.closed;
  wire.close();
  return wire.heard.toString();
}

const bearer = (token: string): string => `Authorization: Bearer ${token}`;
const statusOf = (reply: string): number => Number(/^HTTP\/1\.1 (\d+)/.exec(reply)?.[1]);

async function raw(token: string): Promise<Client> {
  const client = await Client.open(target.port, { host: ADDRESS, token });
  open.push(client);
  return client;
}

/** Routes that need a credential. */
const routes: readonly (readonly [method: string, path: string])[] = [
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

describe('E', () => {
  attackOnce('E16', async () => {
    const { port } = target;
    const foreign = [
      'https://evil.example',
      'null',
      `http://localhost.evil.example:${port}`,
      `http://127.0.0.1.evil.example:${port}`,
      `http://127.0.0.1:${port === 65_535 ? 1 : port + 1}`,
      'http://127.0.0.1',
      `http://evil.example#127.0.0.1:${port}`,
      `http://127.0.0.1:${port}@evil.example`,
      `http://evil.example\\@127.0.0.1:${port}`,
      `ws://127.0.0.1:${port}`,
      `file://127.0.0.1:${port}`,
      `http://127.0.0.1:${port}, https://evil.example`,
      '',
    ];
    for (const path of sockets) {
      for (const origin of foreign) {
        const reply = await shake(path, [bearer(TOKEN), `Origin: ${origin}`]);
        expect(statusOf(reply), origin).toBe(403);
        expect(reply).not.toContain('Sec-WebSocket-Accept');
      }
      for (const origin of [`http://127.0.0.1:${port}`, `http://localhost:${port}`]) {
        expect(statusOf(await shake(path, [bearer(TOKEN), `Origin: ${origin}`])), origin).toBe(101);
      }
    }
    // Two of them: the second one must not be overlooked.
    const two = [bearer(TOKEN), `Origin: http://127.0.0.1:${port}`, 'Origin: https://evil.example'];
    expect(statusOf(await shake('/ws', [...two].reverse()))).not.toBe(101);
    for (const origin of foreign) {
      expect((await ask(port, '/session', { headers: { origin } })).status, origin).toBe(403);
    }
  });

  attackOnce('E17', async () => {
    const { port } = target;
    const foreign = [
      'evil.example',
      `evil.example:${port}`,
      `localhost.evil.example:${port}`,
      `127.0.0.1.evil.example:${port}`,
      `evil.example@127.0.0.1:${port}`,
      `127.0.0.1:${port}@evil.example`,
      `127.0.0.1:${port}/evil.example`,
      `127.0.0.1:${port}, evil.example`,
      `127.1:${port}x`,
      `[::ffff:evil]:${port}`,
      '',
    ];
    for (const host of foreign) {
      for (const path of sockets) expect(statusOf(await shake(path, [bearer(TOKEN)], host)), host).toBe(403);
      for (const path of ['/', '/healthz', '/session', '/nowhere']) {
        const reply = await ask(port, path, { headers: { host } });
        expect([400, 403], `${host} ${path}`).toContain(reply.status);
        expect(reply.body).not.toContain('admin');
      }
    }
    // What a proxy says of the first host is not believed.
    const headers = { host: 'evil.example', 'x-forwarded-host': `127.0.0.1:${port}`, forwarded: 'host=127.0.0.1' };
    expect((await ask(port, '/session', { headers })).status).toBe(403);
    const absolute = await ask(port, `http://127.0.0.1:${port}/session`, { headers: { host: 'evil.example' } });
    expect([400, 403]).toContain(absolute.status);
    for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`]) {
      expect((await ask(port, '/session', { headers: { host } })).status, host).toBe(200);
    }
  });

  attackOnce('E18', async () => {
    const expired = await target.mint({ role: 'admin', ttlMs: 1 });
    const [head = '', claims = '', signature = ''] = (await target.mint({ role: 'viewer', ttlMs: 60_000 })).split('.');
    const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const wider = encode({ ...JSON.parse(Buffer.from(claims, 'base64url').toString()), role: 'admin' });
    const wrong = [
      'wrong',
      expired,
      `${head}.${wider}.${signature}`,
      `${encode({ alg: 'none', typ: 'JWT' })}.${wider}.`,
      `${head}.${claims}.${signature.slice(0, -3)}AAA`,
      TOKEN.slice(0, -1),
      `${TOKEN}x`,
    ];
    const none = [[], ['Authorization: Basic YWRtaW46'], ['Authorization: Bearer'], ['Cookie: slotcast=']];
    for (const path of sockets) {
      for (const headers of [...none, ...wrong.map((token) => [bearer(token)])]) {
        const reply = await shake(path, headers);
        // Who guesses often is told to wait.
        expect([401, 429], headers.join()).toContain(statusOf(reply));
        expect(reply).not.toContain('Sec-WebSocket-Accept');
      }
    }
    for (const [method, path] of routes) {
      for (const token of [null, expired]) {
        expect([401, 429], `${method} ${path}`).toContain((await ask(target.port, path, { method, token })).status);
      }
    }
    // A revoked one ends what it has opened, and what a session made from it has.
    const minted = await ask(target.port, '/tokens', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ role: 'agent', ttlMs: 60_000 }),
    });
    const { token, id } = JSON.parse(minted.body) as { token: string; id: string };
    const session = await ask(target.port, '/session', { method: 'POST', token });
    const cookie = /set-cookie: (slotcast=[^;]+)/i.exec(session.text)?.[1] ?? '';
    expect(cookie).not.toBe('');
    const live = await Promise.all([
      ...sockets.map((path) => Wire.upgraded(target.port, path, token)),
      ...sockets.map(async (path) => {
        const wire = await Wire.open(target.port);
        wire.send(handshake(target.port, { path, headers: [`Cookie: ${cookie}`] }));
        await wire.until(() => wire.heard.includes('\r\n\r\n'));
        expect(wire.status).toBe(101);
        wire.heard = wire.heard.subarray(wire.heard.indexOf('\r\n\r\n') + 4);
        return wire;
      }),
    ]);
    open.push(...live);
    const codes = live.map((wire) => wire.closeCode());
    expect((await ask(target.port, `/tokens/${id}`, { method: 'DELETE' })).status).toBe(200);
    expect(await Promise.all(codes)).toEqual([4401, 4401, 4401, 4401]);
    for (const headers of [[bearer(token)], [`Cookie: ${cookie}`]]) {
      expect([401, 429]).toContain(statusOf(await shake('/ws', headers)));
    }
    // And one that ends by its time.
    const short = await target.mint({ role: 'agent', ttlMs: 1500 });
    expect(await (await Wire.upgraded(target.port, '/ws', short)).closeCode()).toBe(4401);
  });

  attackOnce('E19', async () => {
    const { port } = target;
    const slot = await target.slot();
    await slot.terminal.run({ command: 'echo recorded' });
    const minted = await target.mint({ role: 'admin', ttlMs: 60_000 });
    const seen: string[] = [];
    for (const token of [TOKEN, minted]) {
      for (const name of ['token', 'access_token', 'Token', 'AUTH', 'jwt', 'api_key', '%74oken']) {
        const query = `?${name}=${token}`;
        for (const path of sockets) {
          for (const headers of [[], [bearer(TOKEN)]]) {
            const reply = await shake(`${path}${query}`, headers);
            expect(statusOf(reply), name).toBe(401);
            seen.push(reply);
          }
        }
        for (const path of ['/session', '/casts', '/', '/healthz', '/nowhere']) {
          const reply = await ask(port, `${path}${query}`);
          expect(reply.status, `${path} ${name}`).toBe(401);
          seen.push(reply.text);
        }
      }
      // Where nobody takes it for one it opens nothing either, and nobody repeats it.
      for (const path of [`/session?x=${token}`, `/session#token=${token}`, `/${token}`, `/casts/${token}.cast`]) {
        const reply = await ask(port, path, { token: null });
        expect([400, 401, 404], path).toContain(reply.status);
        seen.push(reply.text);
      }
      const client = await raw(TOKEN);
      for (const [method, params] of [
        ['watch.stop', { watch: token }],
        ['slot.info', { slot: token.slice(0, 64) }],
        ['slot.acquire', { resume: token.slice(0, 200) }],
      ] as const) {
        await client.call(method, params);
      }
    }
    // A wrong credential may be a right one's with a letter too many.
    seen.push(await shake('/ws', [bearer(`${TOKEN}x`)]), (await ask(port, '/session', { token: `${TOKEN}x` })).text);
    seen.push((await ask(port, '/metrics')).text);
    await slot.release();
    const casts = join(target.dataDir, 'casts');
    const files = readdirSync(casts).map((name) => readFileSync(join(casts, name), 'utf8'));
    expect(files.length).toBeGreaterThan(0);
    expect(target.printed.stderr).toContain('"level"');
    const everything = [...seen, ...files, target.printed.stderr, target.printed.stdout].join('\n');
    for (const secret of [TOKEN, minted, minted.split('.')[2] ?? '', CANARY]) expect(everything).not.toContain(secret);
  });

  attackOnce('E20', async () => {
    const [slots, casts] = await leased();
    const [own, other] = slots;
    const [, foreignCast] = casts;
    const token = await target.mint({ role: 'agent', slot: own.name, ttlMs: 60_000 });
    const client = await raw(token);
    /** The error with the name that was asked for taken out, since it is the caller's own. */
    const errorFor = async (name: MethodName, params: object, asked: string): Promise<string> => {
      const { error, result } = await client.call(name, params);
      expect(result, `${name} ${JSON.stringify(params)}`).toBeUndefined();
      expect(['FORBIDDEN', 'SLOT_NOT_FOUND', 'CAST_NOT_FOUND']).toContain(error?.data['name']);
      return JSON.stringify(error).replaceAll(asked, 'ASKED');
    };
    const unknownCast = foreignCast.replace(/.{4}$/, 'zzzz');
    let tried = 0;
    for (const name of Object.keys(methods) as MethodName[]) {
      const { required = [], properties = {} } = z.toJSONSchema(methods[name].params, {
        io: 'input',
        unrepresentable: 'any',
      }) as { required?: string[]; properties?: Record<string, unknown> };
      const fitting: Record<string, unknown> = { time: 0, pinned: true };
      const rest = Object.fromEntries(required.map((field) => [field, fitting[field] ?? 'p1']));
      if (properties['slot'] !== undefined) {
        tried++;
        const there = await errorFor(name, { ...rest, slot: other.name }, other.name);
        for (const none of ['slot_99', 'nobody', '../slots', 'constructor']) {
          expect(await errorFor(name, { ...rest, slot: none }, none), name).toBe(there);
        }
      }
      if (required.includes('cast')) {
        tried++;
        const there = await errorFor(name, { ...rest, cast: foreignCast }, foreignCast);
        expect(await errorFor(name, { ...rest, cast: unknownCast }, unknownCast), name).toBe(there);
      }
    }
    expect(tried).toBeGreaterThan(8);
    // Nothing of the other slot in what it may ask.
    for (const name of ['slot.list', 'cast.list'] as const) {
      const { result } = await client.call(name, {});
      expect(JSON.stringify(result), name).not.toContain(other.name);
      expect(JSON.stringify(result), name).toContain(own.name);
    }
    const watched = await client.call('watch.start', { cast: foreignCast, slot: own.name, since: 0 });
    expect(watched.result).toMatchObject({ slot: own.name });
    // By HTTP.
    const http = async (path: string, asked: string, method = 'GET'): Promise<string> => {
      const reply = await ask(target.port, path, { token, method });
      expect([403, 404], path).toContain(reply.status);
      return `${reply.status} ${reply.body.replaceAll(asked, 'ASKED')}`;
    };
    for (const [method, tail] of [
      ['GET', '/files/secret'],
      ['GET', '/files/none'],
      ['PUT', '/files/planted'],
      ['GET', '/archive'],
      ['GET', '/archive?format=zip'],
    ] as const) {
      const there = await http(`/slots/${other.name}${tail}`, other.name, method);
      expect(await http(`/slots/slot_99${tail}`, 'slot_99', method)).toBe(there);
    }
    for (const tail of ['.cast', '.cast?format=txt', '/index.json', '/segment-0.json']) {
      const there = await http(`/casts/${foreignCast}${tail}`, foreignCast);
      expect(await http(`/casts/${unknownCast}${tail}`, unknownCast)).toBe(there);
    }
    const listed = await http(`/casts?slot=${other.name}`, other.name);
    expect(await http('/casts?slot=slot_99', 'slot_99')).toBe(listed);
    expect((await ask(target.port, '/casts', { token })).body).not.toContain(foreignCast);
    for (const path of ['/live/', '/ws?slot=']) {
      const refusal = async (slot: string): Promise<string> => {
        const reply = await shake(`${path}${slot}`, [bearer(token)]);
        expect([403, 404]).toContain(statusOf(reply));
        return reply.replaceAll(slot, 'ASKED').replace(/Content-Length: \d+/, '');
      };
      expect(await refusal('slot_99')).toBe(await refusal(other.name));
    }
    expect((await other.file.read({ path: 'secret' })).data).toBe('of the other');
    await Promise.all(slots.map((slot) => slot.release()));
  });

  attackOnce('E21', async () => {
    const slot = await target.slot();
    await slot.terminal.start();
    await slot.terminal.run({ command: 'echo before' });
    const before = (await slot.terminal.capture()).text;
    const token = await target.mint({ role: 'viewer', ttlMs: 60_000 });
    const viewer = await raw(token);
    for (const name of Object.keys(methods) as MethodName[]) {
      const expectedRole: string = methods[name].role;
      if (expectedRole === 'viewer') continue;
      expect(await viewer.call(name, { slot: slot.name }), name).toMatchObject({
        error: { data: { name: 'FORBIDDEN' } },
      });
    }
    for (const [method, path] of [
      ['PUT', `/slots/${slot.name}/files/planted`],
      ['GET', `/slots/${slot.name}/files/a`],
      ['GET', `/slots/${slot.name}/archive`],
      ['POST', '/tokens'],
      ['DELETE', '/tokens/tok_1'],
    ] as const) {
      expect((await ask(target.port, path, { method, token })).status, path).toBe(403);
    }
    expect(statusOf(await shake(`/ws?slot=${slot.name}`, [bearer(token)]))).toBe(403);
    // Viewers of the live stream say nothing, whatever their role.
    for (const opcode of [TEXT, BINARY]) {
      for (const credential of [token, TOKEN]) {
        const wire = await Wire.upgraded(target.port, `/live/${slot.name}`, credential);
        wire.send(frame('echo typed\r', { opcode }));
        expect(await wire.closeCode()).toBe(1008);
      }
    }
    const binary = await Wire.upgraded(target.port, '/ws', token);
    binary.send(frame('echo typed\r', { opcode: BINARY }));
    expect(await binary.closeCode()).toBe(1008);
    expect((await slot.terminal.capture()).text).toEqual(before);
    expect((await slot.file.list()).entries).toEqual([]);
    await slot.release();
  });

  attackOnce('E23', async () => {
    const paths = [
      '/../../etc/passwd',
      '/%2e%2e/%2e%2e/etc/passwd',
      '/..%2f..%2fetc%2fpasswd',
      '/..%5c..%5cetc%5cpasswd',
      '/..\\..\\etc\\passwd',
      '/assets/../../../package.json',
      '/assets/..%2f..%2f..%2fpackage.json',
      '/assets/%252e%252e/%252e%252e/package.json',
      '//etc/passwd',
      '///../etc/passwd',
      '/./../etc/passwd',
      '/index.html/../../package.json',
      '/..;/..;/etc/passwd',
      '/%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd',
      '/etc/passwd%00.html',
      '/index.html%00',
      '/.git/config',
      '/package.json',
      '/assets/',
      '/assets',
    ];
    for (const path of paths) {
      for (const token of [null, TOKEN]) {
        const reply = await ask(target.port, path, { token });
        expect([400, 403, 404], path).toContain(reply.status);
        expect(reply.body, path).not.toMatch(/root:|"dependencies"|\[core\]/);
      }
    }
    for (const path of [
      '/casts/..%2f..%2fcanary.cast',
      '/casts/../canary.cast',
      '/casts/%2e%2e%2fcanary.cast',
      '/casts/..%2fcanary/index.json',
      '/live/../canary',
    ]) {
      const reply = await ask(target.port, path);
      expect([400, 404], path).toContain(reply.status);
      expect(reply.body).not.toContain(CANARY);
    }
    expect((await ask(target.port, '/index.html', { token: null })).status).toBe(200);
  });

  attackOnce('E27', async () => {
    const gateway = await startTarget(me);
    const { port } = gateway;
    try {
      const agent = await gateway.client();
      /** A hundred on one connection, each as if it was sent on for somebody else. */
      const guess = async (round: number): Promise<number[]> => {
        const wire = await Wire.open(port, '127.0.0.2');
        for (let at = 0; at < 100; at++) {
          const address = `10.${round}.${at}.1`;
          const forwarded = `X-Forwarded-For: ${address}\r\nX-Real-IP: ${address}\r\nForwarded: for=${address}\r\n`;
          const credential = bearer(`${TOKEN.slice(0, -4)}${round}${at}`);
          const end = at === 99 ? 'Connection: close\r\n\r\n' : '\r\n';
          wire.send(`GET /session HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${forwarded}${credential}\r\n${end}`);
        }
        await wire.closed;
        return [...wire.heard.toString().matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));
      };
      const statuses = (await Promise.all(Array.from({ length: 10 }, (_, round) => guess(round)))).flat();
      expect(statuses).toHaveLength(1000);
      const looked = statuses.filter((status) => status === 401).length;
      expect(statuses.filter((status) => status === 429)).toHaveLength(1000 - looked);
      // Twenty, and one a second.
      expect(looked).toBeLessThan(60);
      // Others are not held back with the guesser.
      const own = await ask(port, '/session', { from: '127.0.0.3' });
      expect(own.status).toBe(200);
      expect((await ask(port, '/session', { token: 'wrong', from: '127.0.0.3' })).status).toBe(401);
      // Sockets and sign-in count alike.
      const more = await Promise.all(
        Array.from({ length: 20 }, async () => {
          const wire = await Wire.open(port, '127.0.0.2');
          wire.send(handshake(port, { headers: [bearer('guess')] }));
          await wire.closed;
          const signIn = await ask(port, '/session', { method: 'POST', token: 'guess', from: '127.0.0.2' });
          expect([wire.status, signIn.status].filter((status) => status !== 401 && status !== 429)).toEqual([]);
          return [wire.status === 429, /\r\nretry-after: \d+\r\n/i.test(signIn.text)];
        }),
      );
      // A look a second may be had again by now.
      for (const kind of [0, 1]) expect(more.filter((refused) => refused[kind]).length).toBeGreaterThan(10);
      expect((await agent.slots()).length).toBeGreaterThan(0);
    } finally {
      await gateway.close();
    }
  });

  attackOnce('E28', async () => {
    const types = ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', ''];
    const gateway = await startTarget(me, { flags: ['--http-api', 'open'] });
    try {
      const session = await ask(gateway.port, '/session', { method: 'POST' });
      const cookie = /set-cookie: (slotcast=[^;]+);(?=.*HttpOnly)(?=.*SameSite=Strict)/i.exec(session.text)?.[1] ?? '';
      expect(cookie).not.toBe('');
      const bodies: Readonly<Record<string, string>> = {
        '/session': '{"ticket":"x"}',
        '/session/tickets': '{}',
        '/tokens': '{"role":"admin","ttlMs":60000}',
        '/execute': '{"slot_id":"slot_0","tool":"bash","arguments":{"command":"echo forged >forged"}}',
        '/batch': '[{"slot_id":"slot_0","tool":"bash","arguments":{"command":"echo forged >forged"}}]',
        '/reset': '{"slot_id":"slot_0"}',
        '/artifacts/read': '{"slot_id":"slot_0","path":"a"}',
        '/artifacts/list': '{"slot_id":"slot_0"}',
        '/artifacts/archive': '{"slot_id":"slot_0"}',
      };
      const pages: Readonly<Record<string, string>>[] = [
        { origin: 'https://evil.example' },
        { origin: 'null' },
        { origin: `http://127.0.0.1:${gateway.port - 1}` },
        // A form without an Origin, as browsers mark it.
        { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' },
        { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', origin: 'null' },
        { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' },
      ];
      for (const [path, body] of Object.entries(bodies)) {
        for (const type of types) {
          for (const page of pages) {
            const headers = { ...page, cookie, ...(type === '' ? {} : { 'content-type': type }) };
            const reply = await ask(gateway.port, path, { method: 'POST', token: null, headers, body });
            expect(reply.status, `${path} ${JSON.stringify(headers)}`).toBe(403);
          }
        }
      }
      // The same from the own page is taken, so it was the origin that counted.
      const headers = { cookie, origin: `http://127.0.0.1:${gateway.port}`, 'content-type': 'application/json' };
      const own = await ask(gateway.port, '/artifacts/list', {
        method: 'POST',
        token: null,
        headers,
        body: '{"slot_id":"slot_0"}',
      });
      expect(own.status).toBe(200);
      expect(own.body).not.toContain('forged');
    } finally {
      await gateway.close();
    }
  });

  attackOnce('E29', async () => {
    const ticket = /#ticket=([\w-]+)/.exec(target.printed.stdout)?.[1] ?? '';
    expect(ticket).not.toBe('');
    const use = (body: string) =>
      ask(target.port, '/session', {
        method: 'POST',
        token: null,
        headers: { 'content-type': 'application/json' },
        body,
      });
    const replies = await Promise.all(Array.from({ length: 50 }, () => use(JSON.stringify({ ticket }))));
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(replies.filter(({ status, text }) => status === 401 && !/set-cookie/i.test(text))).toHaveLength(49);
    for (const body of [
      '{"ticket":""}',
      '{"ticket":null}',
      '{}',
      '{"ticket":["x"]}',
      `{"ticket":"${'x'.repeat(1000)}"}`,
    ]) {
      expect([400, 401], body).toContain((await use(body)).status);
    }
    // In chunks, without a length: read all the same.
    const wire = await Wire.open(target.port);
    const head = `POST /session HTTP/1.1\r\nHost: 127.0.0.1:${target.port}\r\nContent-Type: application/json\r\n`;
    wire.send(`${head}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\ne\r\n{"ticket":"x"}\r\n0\r\n\r\n`);
    await wire.closed;
    expect(wire.status).toBe(401);
    expect(target.printed.stderr).not.toContain(ticket);
  });
});

describe('E, further', () => {
  attackOnce('E34', async () => {
    for (const path of ['/', '/session', '/casts', '/healthz', '/slots/slot_0/files/a', '/ws', '/live/slot_0']) {
      for (const method of ['OPTIONS', 'TRACE', 'CONNECT', 'PATCH', 'DEBUG', 'QUERY']) {
        const headers = { 'x-http-method-override': 'DELETE', origin: `http://127.0.0.1:${target.port}` };
        const reply = await ask(target.port, path, { method, headers: { ...headers, 'x-sent': CANARY } });
        // Node hangs up on CONNECT without a word.
        if (method === 'CONNECT') expect(reply.text).toBe('');
        else expect([400, 404, 405], `${method} ${path}`).toContain(reply.status);
        // Nothing of the request comes back, and no other page is given leave.
        expect(reply.text).not.toContain(CANARY);
        expect(reply.text).not.toContain(TOKEN);
        expect(reply.text).not.toMatch(/access-control-allow/i);
      }
      const head = await ask(target.port, path, { method: 'HEAD' });
      const get = await ask(target.port, path);
      expect([head.status, head.body], path).toEqual([get.status, '']);
      // HEAD asks for the credential like GET.
      const bare = await ask(target.port, path, { method: 'HEAD', token: null });
      expect(bare.status, path).toBe((await ask(target.port, path, { token: null })).status);
    }
  });

  attackOnce('E35', async () => {
    const slot = await target.slot();
    const names = [
      'a\r\nSet-Cookie: slotcast=forged',
      'b"; filename="c.html',
      "d''%0d%0aX: y",
      'e\u202efdp.exe',
      'f\u0000',
    ];
    for (const name of names) {
      const path = `/slots/${slot.name}/files/${encodeURIComponent(name)}`;
      const put = await ask(target.port, path, { method: 'PUT', body: 'x' });
      if (name.includes('\0')) {
        expect(put.status).toBe(400);
        continue;
      }
      expect(put.status, name).toBe(200);
      const got = await ask(target.port, path);
      expect([got.status, got.body]).toEqual([200, 'x']);
      const head = got.text.slice(0, got.text.indexOf('\r\n\r\n'));
      expect(head).not.toMatch(/^set-cookie|^x: y/im);
      const [disposition = ''] = /^content-disposition: .*$/im.exec(head) ?? [];
      // One name in quotes, of plain characters, and one that is encoded.
      expect(disposition).toMatch(
        /^content-disposition: attachment; filename="[ !#-[\]-~]*"; filename\*=UTF-8''[\w.%~-]*$/i,
      );
    }
    for (const bad of [
      '%00',
      '%',
      '%zz',
      '%c0%ae%c0%ae%c0%afcanary',
      '%ff',
      '%ed%a0%80',
      '%2e%2e%2fcanary',
      '..%2f..%2fcanary',
    ]) {
      for (const path of [
        `/slots/${slot.name}/files/${bad}`,
        `/slots/${bad}/files/a`,
        `/casts/${bad}.cast`,
        `/${bad}`,
      ]) {
        const reply = await ask(target.port, path);
        expect([400, 403, 404], path).toContain(reply.status);
        expect(reply.text).not.toContain(CANARY);
      }
      for (const path of ['/live/', '/ws?slot=']) {
        expect([400, 403, 404, 101]).toContain(statusOf(await shake(`${path}${bad}`, [bearer(TOKEN)])));
      }
    }
    expect((await ask(target.port, '/session')).status).toBe(200);
    expect(target.printed.stderr).not.toContain('request failed');
    await slot.release();
  });

  attackOnce('E36', async () => {
    const signIn = await ask(target.port, '/session', { method: 'POST' });
    const [, cookie = ''] = /set-cookie: (slotcast=[^;]+)/i.exec(signIn.text) ?? [];
    const by = { token: null, headers: { cookie } };
    expect((await ask(target.port, '/session', by)).status).toBe(200);
    const wire = await Wire.open(target.port);
    open.push(wire);
    wire.send(handshake(target.port, { headers: [`Cookie: ${cookie}`] }));
    await wire.until(() => wire.heard.includes('\r\n\r\n'));
    wire.heard = Buffer.alloc(0);
    const code = wire.closeCode();
    expect((await ask(target.port, '/session', { ...by, method: 'DELETE' })).status).toBe(200);
    expect(await code).toBe(4401);
    expect((await ask(target.port, '/session', by)).status).toBe(401);
    expect((await ask(target.port, '/session', { token: cookie.replace('slotcast=', '') })).status).toBe(401);
    expect((await ask(target.port, '/session')).status).toBe(200);
  });

  attackOnce('E37', async () => {
    const slot = await target.slot();
    const path = `/slots/${slot.name}/files/dripping`;
    const wire = await Wire.open(target.port);
    open.push(wire);
    wire.send(
      `PUT ${path} HTTP/1.1\r\nHost: 127.0.0.1:${target.port}\r\n${bearer(TOKEN)}\r\nContent-Length: 1000\r\n\r\nx`,
    );
    for (let at = 0; at < 20; at++) {
      wire.send('x');
      // Others go on meanwhile, and nothing of it is there yet.
      await slot.file.write({ path: `other-${at}`, data: 'y' });
    }
    expect((await ask(target.port, path)).status).toBe(404);
    wire.close();
    await wire.closed;
    await slot.exec.run({ command: 'true' });
    const { stdout } = await slot.exec.run({ command: 'ls -A | grep -vc other-' });
    expect(stdout).toBe('0\n');
    await slot.release();
  });
});

/** Two slots with a file and a recording each. */
async function leased(): Promise<[[Slot, Slot], [string, string]]> {
  const one = await target.slot({ slot: 'slot_0' });
  const two = await target.slot({ slot: 'slot_1' });
  for (const slot of [one, two]) {
    await slot.terminal.run({ command: 'echo recorded' });
    await slot.file.write({ path: 'secret', data: slot === two ? 'of the other' : 'own' });
  }
  return [
    [one, two],
    [one.cast, two.cast],
  ];
}
