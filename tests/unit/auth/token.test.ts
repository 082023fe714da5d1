// Tokens: who gets in, for how long, and how a token ends.
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SignJWT, UnsecuredJWT } from 'jose';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Tokens } from '../../../server/auth/token.ts';

let dataDir = '';
let nowMs = Date.now();
const now = (): number => nowMs;
/** How far the host's clock was set: time itself does not jump. */
let setMs = 0;
const open = (fixed?: string): Promise<Tokens> =>
  Tokens.open({ dataDir, fixed, now: () => nowMs + setMs, elapsed: now });
const adminToken = async (): Promise<string> => (await readFile(join(dataDir, 'token'), 'utf8')).trim();
const permissions = async (name: string): Promise<number> => (await stat(join(dataDir, name))).mode & 0o777;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'slotcast-token-'));
  nowMs = Date.now();
  setMs = 0;
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

test('the first start makes a key and an admin token that nobody else can read', async () => {
  const tokens = await open();
  expect(await permissions('secret.key')).toBe(0o600);
  expect(await permissions('token')).toBe(0o600);
  expect((await readFile(join(dataDir, 'secret.key'))).length).toBe(32);
  expect(await tokens.verify(await adminToken())).toMatchObject({ role: 'admin', slot: null, expiresAtMs: null });
});

test('later starts keep key and token, and take back the right of others to read them', async () => {
  await open();
  const first = await adminToken();
  await chmod(join(dataDir, 'secret.key'), 0o644);
  const again = await open();
  expect(await adminToken()).toBe(first);
  expect(await permissions('secret.key')).toBe(0o600);
  await expect(again.verify(first)).resolves.toMatchObject({ role: 'admin' });
});

test('two gateways that start at once agree on one key', async () => {
  const [one, other] = await Promise.all([open(), open()]);
  const { token } = await one.mint({ role: 'viewer', slot: null, ttlMs: null });
  await expect(other.verify(token)).resolves.toMatchObject({ role: 'viewer' });
});

test('a token carries its role, slot and end', async () => {
  const tokens = await open();
  const { token, id, expiresAtMs } = await tokens.mint({ role: 'agent', slot: 'slot_3', ttlMs: 1000 });
  expect(await tokens.verify(token)).toMatchObject({ id, role: 'agent', slot: 'slot_3', expiresAtMs });
  nowMs += 999;
  await expect(tokens.verify(token)).resolves.toBeDefined();
  nowMs += 2;
  await expect(tokens.verify(token)).rejects.toMatchObject({
    fault: 'UNAUTHENTICATED',
    message: 'The token has expired.',
  });
});

test('a token of one recording is for a viewer and for no slot, however it was made', async () => {
  const tokens = await open();
  const cast = 'cast_20260101-120000-aa';
  const { token } = await tokens.mint({ role: 'viewer', slot: null, cast, ttlMs: null });
  expect(await tokens.verify(token)).toMatchObject({ role: 'viewer', slot: null, cast });
  for (const order of [
    { role: 'agent', slot: null },
    { role: 'admin', slot: null },
    { role: 'viewer', slot: 'slot_0' },
  ] as const) {
    await expect(tokens.mint({ ...order, cast, ttlMs: null })).rejects.toMatchObject({ fault: 'INVALID_PARAMS' });
    const { slot, ...rest } = order;
    const key = await readFile(join(dataDir, 'secret.key'));
    const claims = { ...rest, cast, ...(slot === null ? {} : { slot }) };
    const forged = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(key);
    await expect(tokens.verify(forged)).rejects.toMatchObject({ fault: 'UNAUTHENTICATED' });
  }
});

test('a token of another key, another algorithm, without signature or with made-up claims opens nothing', async () => {
  const tokens = await open();
  const key = await readFile(join(dataDir, 'secret.key'));
  const sign = (claims: Record<string, unknown>, alg: string, secret: Uint8Array): Promise<string> =>
    new SignJWT(claims).setProtectedHeader({ alg }).sign(secret);
  const wrong = [
    '',
    'x',
    'x'.repeat(5000),
    await sign({ role: 'admin' }, 'HS256', new Uint8Array(32)),
    await sign({ role: 'admin' }, 'HS512', Buffer.concat([key, key])),
    new UnsecuredJWT({ role: 'admin' }).encode(),
    await sign({ role: 'root' }, 'HS256', key),
    await sign({}, 'HS256', key),
    await sign({ role: 'admin', slot: 5 }, 'HS256', key),
  ];
  for (const token of wrong) await expect(tokens.verify(token)).rejects.toMatchObject({ fault: 'UNAUTHENTICATED' });
  await expect(tokens.verify(await sign({ role: 'viewer' }, 'HS256', key))).resolves.toMatchObject({ role: 'viewer' });
});

test('a revoked token stays so after a restart, and others stay good', async () => {
  const tokens = await open();
  const bad = await tokens.mint({ role: 'viewer', slot: null, ttlMs: 60_000 });
  const good = await tokens.mint({ role: 'viewer', slot: null, ttlMs: 60_000 });
  await tokens.revoke(bad.id, bad.expiresAtMs);
  for (const opened of [tokens, await open()]) {
    await expect(opened.verify(bad.token)).rejects.toMatchObject({ message: 'The token was revoked.' });
    await expect(opened.verify(good.token)).resolves.toBeDefined();
  }
  expect(await permissions('revoked.json')).toBe(0o600);
});

const YEAR_MS = 365 * 86_400_000;

test.each([10 * YEAR_MS, 86_400_000, -86_400_000, -10 * YEAR_MS])(
  'a token lives as long as it was made for when the clock is set by %d ms',
  async (jumpMs) => {
    const tokens = await open();
    const { token, id, expiresAtMs } = await tokens.mint({ role: 'viewer', slot: null, ttlMs: 1000 });
    setMs = jumpMs;
    nowMs += 999;
    const admission = await tokens.verify(token);
    expect(admission).toMatchObject({ id, expiresAtMs });
    expect(tokens.leftMs(admission)).toBe(1);
    nowMs += 2;
    await expect(tokens.verify(token)).rejects.toMatchObject({ message: 'The token has expired.' });
  },
);

test('a token that another process made goes by the wall clock', async () => {
  const { token } = await (await open()).mint({ role: 'viewer', slot: null, ttlMs: 1000 });
  const tokens = await open();
  await expect(tokens.verify(token)).resolves.toBeDefined();
  setMs = 2000;
  await expect(tokens.verify(token)).rejects.toMatchObject({ message: 'The token has expired.' });
});

test('a clock that is set forth and back lets no revoked token in again', async () => {
  const tokens = await open();
  const { token, id, expiresAtMs } = await tokens.mint({ role: 'viewer', slot: null, ttlMs: 60_000 });
  setMs = YEAR_MS;
  await tokens.revoke(id, expiresAtMs);
  await tokens.revoke('tok_other');
  await expect(tokens.verify(token)).rejects.toMatchObject({ message: 'The token was revoked.' });
  setMs = 0;
  await expect(tokens.verify(token)).rejects.toMatchObject({ message: 'The token was revoked.' });
});

test('the list forgets tokens that have expired since', async () => {
  const tokens = await open();
  await tokens.revoke('tok_old', nowMs + 1000);
  nowMs += 2000;
  await tokens.revoke('tok_new');
  expect(await readFile(join(dataDir, 'revoked.json'), 'utf8')).not.toContain('tok_old');
});

test('a token that is revoked while the gateway goes down is on the list', async () => {
  const tokens = await open();
  const revoking = tokens.revoke('tok_late');
  await tokens.close();
  expect(await readFile(join(dataDir, 'revoked.json'), 'utf8')).toContain('tok_late');
  await revoking;
});

test('a damaged list or key stops the start instead of letting revoked tokens in', async () => {
  await open();
  await writeFile(join(dataDir, 'revoked.json'), '{"version":1}');
  await expect(open()).rejects.toThrow('revoked.json');
  await rm(join(dataDir, 'revoked.json'));
  await writeFile(join(dataDir, 'secret.key'), 'short');
  await expect(open()).rejects.toThrow('secret.key');
});

test('what was made from a token ends with it', async () => {
  const tokens = await open();
  const parent = await tokens.mint({ role: 'agent', slot: null, ttlMs: null });
  const session = await tokens.mint({ role: 'agent', slot: null, ttlMs: 60_000, from: parent.id });
  await tokens.revoke(parent.id);
  await expect(tokens.verify(session.token)).rejects.toMatchObject({ fault: 'UNAUTHENTICATED' });
});

test('SLOTCAST_TOKEN is the admin from then on: the one in the data directory ends, tokens that were made stay', async () => {
  const before = await open();
  const former = await adminToken();
  const { token } = await before.mint({ role: 'viewer', slot: null, ttlMs: null });
  const fixed = 'f'.repeat(32);
  const tokens = await open(fixed);
  await expect(tokens.verify(fixed)).resolves.toMatchObject({ role: 'admin', slot: null });
  await expect(tokens.verify(`${fixed}x`)).rejects.toMatchObject({ fault: 'UNAUTHENTICATED' });
  await expect(tokens.verify(former)).rejects.toMatchObject({ fault: 'UNAUTHENTICATED' });
  await expect(tokens.verify(token)).resolves.toMatchObject({ role: 'viewer' });
  const without = await open();
  await expect(without.verify(fixed)).rejects.toMatchObject({ fault: 'UNAUTHENTICATED' });
  await expect(without.verify(await adminToken())).resolves.toMatchObject({ role: 'admin' });
});

test('a SLOTCAST_TOKEN that could be guessed is refused at the start', async () => {
  await expect(open('x'.repeat(31))).rejects.toThrow('at least 32');
});

test('who holds something open is told once when the token expires or is revoked', async () => {
  const tokens = await Tokens.open({ dataDir });
  const ended = async (ttlMs: number | null, end: (id: string) => Promise<void>): Promise<string[]> => {
    const { token, id } = await tokens.mint({ role: 'viewer', slot: null, ttlMs });
    const admission = await tokens.verify(token);
    const reasons: string[] = [];
    await new Promise<void>((resolve) => {
      tokens.onEnd(admission, (reason) => {
        reasons.push(reason);
        resolve();
      });
      void end(id);
    });
    await tokens.revoke(id);
    return reasons;
  };
  expect(await ended(50, async () => {})).toEqual(['The token has expired.']);
  expect(await ended(null, (id) => tokens.revoke(id))).toEqual(['The token was revoked.']);
});

test('a far end does not overflow the timer', async () => {
  const tokens = await open();
  const { token } = await tokens.mint({ role: 'viewer', slot: null, ttlMs: 100 * 86_400_000 });
  let told = false;
  const subscription = tokens.onEnd(await tokens.verify(token), () => {
    told = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(told).toBe(false);
  subscription.close();
});
