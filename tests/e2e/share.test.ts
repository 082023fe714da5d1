// What is handed to people: the address that signs a browser in, and the token of one recording, which sees that one and nothing else.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { type MethodName, methods } from '../../protocol/contract.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';

let gateway: TestGateway;
/** A recording that was shared, one of the same slot that was not, and one of another slot that goes on. */
let shared: string;
let earlier: string;
let other: string;
let token: string;

beforeAll(async () => {
  gateway = await startGateway('--slots', '2');
  const agent = await gateway.client();
  earlier = await record('slot_0', 'earlier');
  shared = await record('slot_0', 'shared');
  const slot = await agent.acquire({ slot: 'slot_1', label: 'secret label' });
  other = slot.cast;
  await slot.terminal.run({ command: 'echo of another' });
  token = await gateway.mint({ role: 'viewer', cast: shared, ttlMs: 60_000 });
});
afterAll(() => gateway?.close());

async function record(slot: string, word: string): Promise<string> {
  const client = await gateway.client();
  const held = await client.acquire({ slot });
  await held.terminal.run({ command: `echo ${word}` });
  await held.release();
  return held.cast;
}

const json = { 'content-type': 'application/json' };
const bearer = (given: string) => ({ authorization: `Bearer ${given}` });
const get = (path: string, headers: Record<string, string> = bearer(token)) =>
  fetch(`${gateway.url}${path}`, { headers });
const post = (path: string, headers: Record<string, string>, body: object = {}) =>
  fetch(`${gateway.url}${path}`, { method: 'POST', headers: { ...json, ...headers }, body: JSON.stringify(body) });
const cookieOf = (reply: Response): string => reply.headers.get('set-cookie')?.split(';')[0] ?? '';
const faultOf = async (reply: Response): Promise<unknown> =>
  ((await reply.json()) as { error: { data: { name: string } } }).error.data.name;

test('the printed address signs an admin in, once', async () => {
  const address = new URL(gateway.signInUrl());
  expect(address.origin).toBe(gateway.url);
  const ticket = new URLSearchParams(address.hash.slice(1)).get('ticket');
  const reply = await post('/session', {}, { ticket });
  expect(await reply.json()).toMatchObject({ role: 'admin', slot: null, cast: null });
  const session = await get('/session', { cookie: cookieOf(reply) });
  expect(await session.json()).toMatchObject({ role: 'admin', slot: null, cast: null });
  const again = await post('/session', {}, { ticket });
  expect([again.status, again.headers.get('set-cookie')]).toEqual([401, null]);
  expect(gateway.signInUrl()).not.toBe(address.href);
});

test('where everybody is let in the address is that of the page', async () => {
  const open = await startGateway('--auth', 'none');
  try {
    expect(open.signInUrl()).toBe(`${open.url}/`);
  } finally {
    await open.close();
  }
});

test('a token in the header replaces the cookie of an earlier sign-in', async () => {
  const admin = cookieOf(await post('/session', bearer(gateway.token)));
  const reply = await post('/session', { ...bearer(token), cookie: admin });
  expect(await reply.json()).toMatchObject({ role: 'viewer', slot: null, cast: shared });
  expect(cookieOf(reply)).not.toBe(admin);
});

test('the token of one recording sees that one, over the WebSocket', async () => {
  const viewer = await gateway.client(token);
  expect((await viewer.cast.list()).map(({ cast }) => cast)).toEqual([shared]);
  expect(await viewer.cast.list({ label: 'secret label' })).toEqual([]);
  expect(await viewer.cast.info(shared)).toMatchObject({ cast: shared, commands: 1 });
  expect((await viewer.cast.seek(shared, 1e6)).screen).toContain('shared');
  expect((await viewer.cast.read({ cast: shared })).frames.length).toBeGreaterThan(0);
});

test('and nothing else, whatever a client made by hand asks for', async () => {
  const ask = await open(token);
  const foreign = [earlier, other, 'cast_none'];
  for (const method of ['cast.info', 'cast.seek', 'cast.read']) {
    const more = method === 'cast.seek' ? { time: 0 } : {};
    const replies = await Promise.all(foreign.map((cast) => ask(method, { cast, ...more })));
    const [first] = replies;
    for (const { error } of replies) expect(error).toEqual({ ...first?.error, code: 6001 });
  }
  expect((await ask('slot.list', {})).result).toEqual({ slots: [] });
  expect((await ask('watch.slots', { on: true })).result).toEqual({ slots: [] });
  for (const method of ['slot.info', 'watch.start', 'cast.list']) {
    for (const slot of ['slot_0', 'slot_1', 'slot_77']) {
      expect((await ask(method, { slot })).error, `${method} ${slot}`).toMatchObject({
        code: 2001,
        message: `There is no slot "${slot}". slot.list names them.`,
      });
    }
  }
  for (const method of ['slot.info', 'watch.start']) expect((await ask(method, {})).error?.data.name).toBe('NOT_BOUND');
  for (const method of Object.keys(methods) as MethodName[]) {
    if (methods[method].role === 'viewer') continue;
    expect((await ask(method, { slot: 'slot_1' })).error?.data.name, method).toBe('FORBIDDEN');
  }
  // News of slots would have come by now.
  const agent = await gateway.client();
  const slot = await agent.acquire({ slot: 'slot_0' });
  await slot.release();
  expect(ask.heard.map(({ method }) => method).filter((method) => method !== undefined)).toEqual([]);
});

test('over HTTP it sees that one alone as well, by header and by cookie', async () => {
  const cookie = cookieOf(await post('/session', bearer(token)));
  const { ticket } = (await (await post('/session/tickets', bearer(token))).json()) as { ticket: string };
  const byTicket = cookieOf(await post('/session', {}, { ticket }));
  for (const headers of [bearer(token), { cookie }, { cookie: byTicket }]) {
    expect(await (await get('/session', headers)).json()).toMatchObject({ role: 'viewer', slot: null, cast: shared });
    const { casts } = (await (await get('/casts', headers)).json()) as { casts: { cast: string }[] };
    expect(casts.map(({ cast }) => cast)).toEqual([shared]);
    for (const path of ['.cast', '.cast?format=txt', '/index.json', '/segment-0.json']) {
      expect((await get(`/casts/${shared}${path}`, headers)).status).toBe(200);
      for (const foreign of [earlier, other, 'cast_none']) {
        const reply = await get(`/casts/${foreign}${path}`, headers);
        expect([reply.status, await faultOf(reply)]).toEqual([404, 'CAST_NOT_FOUND']);
      }
    }
    expect((await get('/casts?slot=slot_0', headers)).status).toBe(404);
    for (const path of ['/slots/slot_1/files/x', '/slots/slot_1/archive']) {
      expect((await get(path, headers)).status).toBe(403);
    }
    expect((await get('/metrics', { ...headers, 'x-forwarded-for': '10.0.0.1' })).status).toBe(403);
    expect((await post('/tokens', headers, { role: 'viewer', cast: shared, ttlMs: 1000 })).status).toBe(403);
  }
});

test('it opens no live stream and binds no slot', async () => {
  for (const path of ['/live/slot_0', '/live/slot_1', '/live/slot_77']) {
    expect(await upgrade(path, 'v1.alis')).toBe(404);
  }
  expect(await upgrade('/ws?slot=slot_1', 'slotcast.v1')).toBe(403);
});

test('a token of a slot still sees all recordings of that slot', async () => {
  const viewer = await gateway.client(await gateway.mint({ role: 'viewer', slot: 'slot_0', ttlMs: 60_000 }));
  const casts = (await viewer.cast.list()).map(({ cast }) => cast);
  expect(casts).toEqual(expect.arrayContaining([shared, earlier]));
  expect(casts).not.toContain(other);
  await expect(viewer.cast.info(other)).rejects.toMatchObject({ fault: 'CAST_NOT_FOUND' });
});

test('only an admin who sees a recording makes a token for it, and only a viewer’s', async () => {
  const make = async (by: string, body: object) => {
    const reply = await post('/tokens', bearer(by), { ttlMs: 60_000, ...body });
    return reply.status === 201 ? ((await reply.json()) as { token: string }).token : await faultOf(reply);
  };
  const made = await make(gateway.token, { role: 'viewer', cast: other });
  expect((await (await gateway.client(String(made))).cast.info(other)).live).toBe(true);
  for (const role of ['agent', 'admin'])
    expect(await make(gateway.token, { role, cast: other })).toBe('INVALID_PARAMS');
  expect(await make(gateway.token, { role: 'viewer', cast: other, slot: 'slot_1' })).toBe('INVALID_PARAMS');
  expect(await make(gateway.token, { role: 'viewer', cast: '../token' })).toBe('INVALID_PARAMS');
  expect(await make(gateway.token, { role: 'viewer', cast: 'cast_none' })).toBe('CAST_NOT_FOUND');
  const narrow = await gateway.mint({ role: 'admin', slot: 'slot_0', ttlMs: 60_000 });
  expect(await make(narrow, { role: 'viewer', cast: other })).toBe('CAST_NOT_FOUND');
  expect(await make(narrow, { role: 'viewer', cast: shared })).not.toBe('CAST_NOT_FOUND');
  for (const role of ['viewer', 'agent'] as const) {
    const own = await gateway.mint({ role, slot: 'slot_0', ttlMs: 60_000 });
    expect(await make(own, { role: 'viewer', cast: shared })).toBe('FORBIDDEN');
  }
});

interface Reply {
  readonly id?: number;
  readonly method?: string;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string; readonly data: { readonly name: string } };
}

/** Calls by a client made by hand; `heard` is everything that came. */
async function open(given: string) {
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/ws`, 'slotcast.v1', { headers: bearer(given) });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  const heard: Reply[] = [];
  const waiting = new Map<number, (reply: Reply) => void>();
  socket.on('message', (data) => {
    const reply = JSON.parse(String(data)) as Reply;
    heard.push(reply);
    waiting.get(reply.id ?? 0)?.(reply);
  });
  let last = 0;
  const ask = (method: string, params: object): Promise<Reply> => {
    const id = ++last;
    socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    return new Promise((resolve) => waiting.set(id, resolve));
  };
  return Object.assign(ask, { heard });
}

/** HTTP status by which the upgrade is refused; 101 when it is not. */
function upgrade(path: string, protocol: string): Promise<number> {
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}${path}`, protocol, { headers: bearer(token) });
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(101));
    socket.once('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
    socket.once('error', reject);
  });
}
