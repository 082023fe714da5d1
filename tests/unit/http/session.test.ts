// Signing in by ticket or token, what the cookie can do, signing out; and tokens over HTTP.
import { afterEach, expect, test } from 'vitest';
import { errorName, type Reply, type Site, type SiteOptions, startSite } from './harness.ts';

const open: Site[] = [];
const start = async (options?: SiteOptions): Promise<Site> => {
  const site = await startSite(options);
  open.push(site);
  return site;
};
afterEach(async () => {
  await Promise.all(open.splice(0).map((site) => site.close()));
});

const json = { 'content-type': 'application/json' };
const cookieOf = (reply: Reply): string => reply.headers['set-cookie']?.[0]?.split(';')[0] ?? '';

test('a ticket becomes a cookie that no script can read, once', async () => {
  const site = await start();
  const agent = await site.token('agent', 'slot_0');
  const { ticket } = (await site.ask('/session/tickets', { method: 'POST', token: agent })).json();
  const body = JSON.stringify({ ticket });
  const reply = await site.ask('/session', { method: 'POST', token: null, headers: json, body });
  expect(reply.json()).toMatchObject({ role: 'agent', slot: 'slot_0' });
  expect(reply.headers['set-cookie']?.[0]).toMatch(
    /^slotcast=[^;]+; Max-Age=43\d{3}; Path=\/; HttpOnly; SameSite=Strict$/,
  );
  const cookie = cookieOf(reply);
  expect((await site.ask('/session', { token: null, headers: { cookie } })).json()).toMatchObject({
    role: 'agent',
    slot: 'slot_0',
  });
  const again = await site.ask('/session', { method: 'POST', token: null, headers: json, body });
  expect([again.status, errorName(again)]).toEqual([401, 'UNAUTHENTICATED']);
});

test('a token in the header becomes a cookie too, which is for https only where the page is', async () => {
  const site = await start();
  const reply = await site.ask('/session', {
    method: 'POST',
    headers: { host: 'localhost', origin: 'https://localhost' },
  });
  expect(reply.headers['set-cookie']?.[0]).toContain('; Secure');
});

test('signing out ends the cookie for good, not the token behind it', async () => {
  const site = await start();
  const cookie = cookieOf(await site.ask('/session', { method: 'POST' }));
  const out = await site.ask('/session', { method: 'DELETE', token: null, headers: { cookie } });
  expect(out.headers['set-cookie']?.[0]).toMatch(/^slotcast=; Max-Age=0/);
  expect((await site.ask('/session', { token: null, headers: { cookie } })).status).toBe(401);
  expect((await site.ask('/session')).status).toBe(200);
});

test('a session ends when the token that it was made from is revoked', async () => {
  const site = await start();
  const { token, id } = (
    await site.ask('/tokens', { method: 'POST', headers: json, body: '{"role":"viewer","ttlMs":60000}' })
  ).json<{ token: string; id: string }>();
  const cookie = cookieOf(await site.ask('/session', { method: 'POST', token }));
  expect((await site.ask('/session', { token: null, headers: { cookie } })).status).toBe(200);
  expect((await site.ask(`/tokens/${id}`, { method: 'DELETE' })).status).toBe(200);
  expect((await site.ask('/session', { token: null, headers: { cookie } })).status).toBe(401);
  expect((await site.ask('/session', { token })).status).toBe(401);
});

test('a cookie does not outlive the token that it was made from', async () => {
  const site = await start();
  const { token } = await site.tokens.mint({ role: 'viewer', slot: null, ttlMs: 10_000 });
  const reply = await site.ask('/session', { method: 'POST', token });
  expect(reply.headers['set-cookie']?.[0]).toMatch(/Max-Age=(9|10);/);
});

test.each([
  ['text/plain', '{"ticket":"x"}', 400],
  ['application/json', '{"ticket":', 400],
  ['application/json', '{"ticket":5}', 400],
  ['application/json', '{"ticket":"x","more":1}', 400],
  ['application/json', `{"ticket":"${'x'.repeat(100_000)}"}`, 413],
])('a sign-in with %s %.20s is refused', async (contentType, body, status) => {
  const site = await start();
  const headers = { 'content-type': contentType };
  expect((await site.ask('/session', { method: 'POST', token: null, headers, body })).status).toBe(status);
});

test('a body in chunks signs in like any other, and one that is too large is refused however it is sent', async () => {
  const site = await start();
  const headers = { ...json, 'transfer-encoding': 'chunked' };
  const send = (body: string): Promise<Reply> => site.ask('/session', { method: 'POST', token: null, headers, body });
  const { ticket } = (await site.ask('/session/tickets', { method: 'POST' })).json<{ ticket: string }>();
  expect((await send(JSON.stringify({ ticket }))).status).toBe(200);
  const large = JSON.stringify({ ticket: 'x'.repeat(100_000) });
  const replies = [await send(large), await site.ask('/tokens', { method: 'POST', headers: json, body: large })];
  expect(replies.map((reply) => [reply.status, errorName(reply)])).toEqual(Array(2).fill([413, 'TOO_LARGE']));
  expect(site.logged.join('')).not.toContain('request failed');
});

test('only admins make and take back tokens, and an admin of one slot only makes those for it', async () => {
  const site = await start();
  const make = (token: string, body: object): Promise<Reply> =>
    site.ask('/tokens', { method: 'POST', token, headers: json, body: JSON.stringify(body) });
  for (const role of ['viewer', 'agent'] as const) {
    expect((await make(await site.token(role), { role: 'viewer', ttlMs: 1000 })).status).toBe(403);
    expect((await site.ask('/tokens/tok_1', { method: 'DELETE', token: await site.token(role) })).status).toBe(403);
  }
  const narrow = await site.token('admin', 'slot_0');
  expect((await make(narrow, { role: 'viewer', slot: 'slot_0', ttlMs: 1000 })).status).toBe(201);
  expect((await make(narrow, { role: 'viewer', ttlMs: 1000 })).status).toBe(403);
  expect((await make(narrow, { role: 'viewer', slot: 'slot_1', ttlMs: 1000 })).status).toBe(403);
  expect((await site.ask('/tokens/tok_1', { method: 'DELETE', token: narrow })).status).toBe(403);
  for (const body of [{ role: 'root', ttlMs: 1 }, { role: 'viewer' }, { role: 'viewer', ttlMs: 0 }, []]) {
    expect((await make(site.admin, body)).status).toBe(400);
  }
});

test('where everybody is let in there is nothing to sign in for', async () => {
  const site = await start({ auth: 'none' });
  expect((await site.ask('/session', { token: null })).json()).toMatchObject({ role: 'admin' });
  const reply = await site.ask('/session', { method: 'POST', token: null });
  expect([reply.status, reply.headers['set-cookie']]).toEqual([200, undefined]);
  expect((await site.ask('/casts', { token: null })).json()).toEqual({ casts: [] });
  expect((await site.ask('/casts', { token: null, headers: { host: 'evil.example' } })).status).toBe(403);
});
