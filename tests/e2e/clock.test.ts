// The host's clock is set, by a day or ten years, forth and back, while everything runs: nothing that is counted in time takes notice.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Client, connect } from '../../client/index.ts';
import { type HostClock, hostClock } from '../support/faketime.ts';
import { until } from '../support/gateway.ts';
import { type Program, startProgram } from '../support/one-gateway.ts';

const root = new URL('../../', import.meta.url);
const JUMPS = ['+1d', '-1d', '+10y', '-10y'];
const DAY_MS = 86_400_000;

let clock: HostClock;
let program: Program;
const clients: Client[] = [];

beforeAll(async () => {
  clock = hostClock();
  program = await startProgram({ env: clock.env, flags: ['--slots', '6'], before: startKeeper });
});
afterAll(async () => {
  await program?.close();
  clock?.close();
});
beforeEach(() => clock.set('+0'));
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
});

/** The keeper gets nothing of the gateway's environment, so it is started with this clock before, and found alive. */
async function startKeeper(dataDir: string): Promise<void> {
  const { version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as { version: string };
  const log = openSync(join(dataDir, 'keeper.log'), 'w');
  const file = new URL('dist/server/keeper/main.js', root).pathname;
  const child = spawn(process.execPath, [file, dataDir, version], {
    env: { PATH: process.env['PATH'], TMPDIR: process.env['TMPDIR'], ...clock.env },
    stdio: ['ignore', 'pipe', log],
  });
  closeSync(log);
  await new Promise((resolve, reject) => {
    child.stdout?.once('data', resolve);
    child.once('close', () => reject(new Error(readFileSync(join(dataDir, 'keeper.log'), 'utf8'))));
  });
}

async function client(token = program.token): Promise<Client> {
  const made = await connect({ url: program.url, token, reconnect: false, validate: true });
  clients.push(made);
  return made;
}

/** Sets the clock again and again until the work is done. */
async function whileJumping<T>(work: Promise<T>): Promise<T> {
  let isDone = false;
  const done = work.finally(() => {
    isDone = true;
  });
  for (let turn = 0; !isDone; turn++) {
    clock.set(JUMPS[turn % JUMPS.length] ?? '+0');
    await Promise.race([done.catch(() => undefined), delay(150)]);
  }
  return await done;
}

test('the clock that gateway and keeper see is set', async () => {
  const agent = await client();
  for (const [offset, byMs] of [
    ['+1d', DAY_MS],
    ['-10y', -3652 * DAY_MS],
  ] as const) {
    clock.set(offset);
    const { slot } = await agent.call('slot.acquire', {});
    const { since } = await agent.call('slot.info', { slot });
    await agent.call('exec.run', { command: 'true' });
    const { processes } = await agent.call('exec.list', {});
    for (const atMs of [since ?? 0, processes[0]?.startedAt ?? 0]) {
      expect(Math.abs(atMs - Date.now() - byMs)).toBeLessThan(10 * DAY_MS);
    }
    await agent.call('slot.release', {});
  }
});

test('commands, their timeouts and waits take the time that they take', async () => {
  const agent = await client();
  await agent.call('slot.acquire', {});
  const began = performance.now();
  const all = Promise.all([
    agent.call('exec.run', { command: 'sleep 2; echo real' }),
    agent.call('exec.run', { command: 'sleep 60', timeoutMs: 1000 }),
    agent.call('exec.run', { command: 'while :; do echo x; sleep 0.2; done', timeoutMs: 1500 }),
    agent.call('exec.run', { command: 'sleep 60', idleTimeoutMs: 1000, timeoutMs: 0 }),
    agent.call('terminal.run', { command: 'sleep 2; echo typed' }),
  ]);
  const [ran, timedOut, chatty, idle, typed] = await whileJumping(all);
  expect(ran).toMatchObject({ outcome: 'exited', stdout: 'real\n' });
  expect(typed).toMatchObject({ outcome: 'exited', output: 'typed\n' });
  expect([timedOut.outcome, timedOut.timedOutBy]).toEqual(['timedOut', 'total']);
  expect([chatty.outcome, chatty.timedOutBy]).toEqual(['timedOut', 'total']);
  expect([idle.outcome, idle.timedOutBy]).toEqual(['timedOut', 'idle']);
  for (const [{ durationMs }, leastMs] of [
    [ran, 2000],
    [typed, 2000],
    [timedOut, 1000],
    [chatty, 1500],
    [idle, 1000],
  ] as const) {
    expect(durationMs).toBeGreaterThanOrEqual(leastMs);
    expect(durationMs).toBeLessThan(performance.now() - began);
  }
  const waited = performance.now();
  const never = agent.call('terminal.wait', { text: 'never', timeoutMs: 1000 });
  expect((await whileJumping(never)).matched).toBe(false);
  const rests = agent.call('terminal.wait', { idleMs: 700, timeoutMs: 60_000 });
  expect((await whileJumping(rests)).matched).toBe(true);
  expect(performance.now() - waited).toBeGreaterThanOrEqual(1690);
  expect(performance.now() - waited).toBeLessThan(20_000);
});

test('frames of a watch and of the recording have their places in time, and the recording is intact', async () => {
  const agent = await client();
  const viewer = await client();
  const { slot, cast } = await agent.call('slot.acquire', {});
  await agent.call('terminal.start', {});
  const seen: number[] = [];
  viewer.on('watch.frames', ({ frames }) => seen.push(...frames.map(([time]) => time)));
  await viewer.call('watch.start', { slot });
  const began = performance.now();
  await whileJumping(agent.call('terminal.run', { command: 'for i in {1..20}; do echo $i; sleep 0.1; done' }));
  const tookS = (performance.now() - began) / 1000;
  await until('the frames are here', () => seen.length >= 20);
  const { frames } = await agent.call('cast.read', { cast, from: 0, to: 1e9 });
  for (const times of [seen, frames.map(([time]) => time)]) {
    expect(times).toEqual(times.toSorted((one, other) => one - other));
    expect((times.at(-1) ?? 0) - (times.at(-20) ?? 0)).toBeGreaterThan(0.5);
    expect(times.at(-1)).toBeLessThan(tookS + 20);
  }
  clock.set('-10y');
  await agent.call('slot.release', {});
  await until('it is sealed', async () => !(await viewer.call('cast.info', { cast })).live);
  expect(await viewer.call('cast.verify', { cast })).toMatchObject({ ok: true, sealed: true });
  expect((await viewer.call('cast.info', { cast })).duration).toBeLessThan(tookS + 20);
  const lines = readFileSync(join(program.dataDir, 'casts', `${cast}.cast`), 'utf8').split('\n');
  const intervals = lines.filter((line) => line.startsWith('[')).map((line) => (JSON.parse(line) as [number])[0]);
  expect(intervals.every((interval) => interval >= 0 && interval < 20)).toBe(true);
});

test.each(JUMPS)('a lease outlives its connection by its grace time when the clock is set by %s', async (offset) => {
  const one = await client();
  const { slot, resume } = await one.call('slot.acquire', { graceMs: 2000 });
  await one.call('exec.start', { command: 'sleep 60' });
  await one.close();
  clock.set(offset);
  await delay(700);
  const two = await client();
  expect(await two.call('slot.acquire', { resume })).toMatchObject({ slot, resumed: true });
  expect((await two.call('exec.list', {})).processes).toMatchObject([{ outcome: 'running' }]);
  await two.close();
  const left = performance.now();
  clock.set('+0');
  const looker = await client();
  await until('it is free', async () => (await looker.call('slot.info', { slot })).state === 'free');
  expect(performance.now() - left).toBeGreaterThan(1500);
});

test.each(JUMPS)(
  'a ticket, its cookie and a token live as long as they were made for when the clock is set by %s',
  async (offset) => {
    const json = { 'content-type': 'application/json' };
    const admin = { authorization: `Bearer ${program.token}` };
    const post = (path: string, headers: Record<string, string>, body: unknown) =>
      fetch(program.url + path, { method: 'POST', headers: { ...json, ...headers }, body: JSON.stringify(body) });
    const { ticket } = (await (await post('/session/tickets', admin, {})).json()) as { ticket: string };
    const order = { role: 'viewer', ttlMs: 2500 };
    const made = performance.now();
    const { token } = (await (await post('/tokens', admin, order)).json()) as { token: string };
    clock.set(offset);
    const signedIn = await post('/session', {}, { ticket });
    expect(signedIn.status).toBe(200);
    const cookie = signedIn.headers.get('set-cookie') ?? '';
    expect(cookie).toContain('Max-Age=43200');
    clock.set('+0');
    const session = () => fetch(`${program.url}/session`, { headers: { cookie: cookie.split(';')[0] ?? '' } });
    expect((await session()).status).toBe(200);
    clock.set(offset);
    expect((await session()).status).toBe(200);
    const viewer = await client(token);
    const ended = new Promise<number>((resolve) => viewer.on('disconnected', ({ code }) => resolve(code)));
    expect(await ended).toBe(4401);
    expect(performance.now() - made).toBeGreaterThanOrEqual(2490);
    expect(performance.now() - made).toBeLessThan(20_000);
    const late = await fetch(`${program.url}/session`, { headers: { authorization: `Bearer ${token}` } });
    expect(late.status).toBe(401);
  },
);

test('the drain takes its time, and every recording is sealed', async () => {
  const agent = await client();
  await agent.call('slot.acquire', {});
  const run = agent.call('exec.run', { command: 'sleep 2; echo real' });
  await until('it runs', async () => (await agent.call('slot.info', {})).processes === 1);
  program.child.kill('SIGTERM');
  expect((await whileJumping(run)).stdout).toBe('real\n');
  expect(await program.ended).toBe(0);
  const casts = readdirSync(join(program.dataDir, 'casts')).filter((name) => name.endsWith('.cast'));
  expect(casts.length).toBeGreaterThan(6);
});
