// Stopping the program: what runs may end by itself for a while, nothing new begins, and then everything ends properly.
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { type Client, connect } from '../../client/index.ts';
import { until } from '../support/gateway.ts';
import { type Program, programFile, startProgram } from '../support/one-gateway.ts';

/** Longer than any test: what ends has ended for another reason. */
const LONG = ['--drain-ms', '600000'];
/** Ends when the agent says so. */
const UNTIL_TOLD = 'until test -e /workspace/go; do sleep 0.02; done';

const programs: Program[] = [];
afterEach(async () => {
  await Promise.all(programs.splice(0).map((program) => program.close()));
});

async function start(...flags: string[]): Promise<Program> {
  const program = await startProgram({ flags });
  programs.push(program);
  return program;
}

/** Why the connection ended. */
function closing(client: Client): Promise<number | undefined> {
  return new Promise((resolve) => client.on('disconnected', ({ code }) => resolve(code)));
}

/** Resolves when the program has begun to stop. */
async function stopping({ child, url }: Program, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  child.kill(signal);
  await until('it is not ready', async () => (await fetch(`${url}/readyz`)).status === 503);
}

async function running(client: Client, count: number): Promise<void> {
  await until(`${count} run`, async () => {
    const { processes, running: shown } = await client.call('slot.info', {});
    return processes === count && (count > 0 || shown === null);
  });
}

/** What `slotcast verify` says of its only recording; throws when that is not intact and sealed. */
function verdict({ dataDir }: Program): string {
  const casts = join(dataDir, 'casts');
  const [cast = ''] = readdirSync(casts).filter((name) => name.endsWith('.cast'));
  return execFileSync(process.execPath, [programFile, 'verify', join(casts, cast)]).toString();
}

const lives = (marker: string): boolean => execFileSync('ps', ['-eo', 'args']).toString().includes(marker);
const bearer = ({ token }: Program) => ({ authorization: `Bearer ${token}` });

test('exec.run, exec.start and terminal.run that end within the time have their real results; then the connection is closed with 4503', async () => {
  const program = await start(...LONG);
  const { seen, ended } = program;
  const client = await program.client();
  const closed = closing(client);
  await client.call('slot.acquire', {});
  const exits: unknown[] = [];
  client.on('exec.exit', (exit) => exits.push([exit.outcome, exit.exitCode]));
  const run = client.call('exec.run', { command: `${UNTIL_TOLD}; echo real; exit 7` });
  const { process } = await client.call('exec.start', { command: `${UNTIL_TOLD}; exit 8` });
  const inTerminal = client.call('terminal.run', { command: `${UNTIL_TOLD}; echo typed; (exit 9)` });
  await until(
    'the terminal works',
    async () => (await client.call('slot.info', {})).running?.includes('typed') ?? false,
  );
  await stopping(program);
  expect(seen.stderr).toBe('slotcast: waiting up to 600 s for 3 commands; send SIGTERM again to stop at once\n');
  // A connection that is there goes on with what it has.
  expect((await client.call('exec.wait', { process, timeoutMs: 0 })).outcome).toBe('running');
  await client.call('file.write', { path: 'go', data: '' });
  expect(await run).toMatchObject({ outcome: 'exited', exitCode: 7, stdout: 'real\n' });
  expect(await inTerminal).toMatchObject({ outcome: 'exited', exitCode: 9, output: 'typed\n' });
  expect(await closed).toBe(4503);
  expect(exits).toEqual([['exited', 8]]);
  expect(await ended).toBe(0);
  expect(verdict(program)).toContain('sealed');
});

test('a large result that nobody reads yet is not lost when its command was the last one', async () => {
  const program = await start(...LONG);
  const client = await program.client();
  await client.call('slot.acquire', {});
  const bytes = 12_000_000;
  const run = client.call('exec.run', {
    command: `${UNTIL_TOLD}; head -c ${bytes} /dev/zero | tr '\\0' x`,
    maxOutputBytes: bytes,
  });
  await running(client, 1);
  await stopping(program);
  await client.call('file.write', { path: 'go', data: '' });
  const { stdout, truncated } = await run;
  expect([stdout.length, truncated]).toEqual([bytes, false]);
  expect(await program.ended).toBe(0);
});

test('nothing new begins meanwhile, over no door, and what signs in or only looks goes on', async () => {
  const program = await start(...LONG, '--http-api', 'token');
  const { url, token } = program;
  const client = await program.client();
  const { slot } = await client.call('slot.acquire', {});
  const run = client.call('exec.run', { command: `${UNTIL_TOLD}; echo real` });
  const post = (path: string, body: unknown) =>
    fetch(url + path, {
      method: 'POST',
      headers: { ...bearer(program), 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  const order = {
    slot_id: 'slot_1',
    tool: 'bash',
    args: { command: 'until test -e go; do sleep 0.02; done; echo old' },
    execution_id: 'a',
  };
  const over = post('/execute', order);
  await until('both run', async () => {
    const { slots } = await client.call('slot.list', {});
    return slots.every(({ processes }) => processes === 1);
  });
  await stopping(program);
  const refused = { data: { name: 'SHUTTING_DOWN', retry: 'after' } };
  for (const [method, params] of [
    ['exec.run', { command: 'true' }],
    ['exec.start', { command: 'true' }],
    ['terminal.run', { command: 'true' }],
    ['terminal.start', {}],
    ['slot.reset', {}],
    ['watch.start', {}],
  ] as const) {
    await expect(client.call(method, params as never), method).rejects.toMatchObject({ fault: 'SHUTTING_DOWN' });
  }
  await expect(connect({ url, token, reconnect: false })).rejects.toMatchObject({ fault: 'SHUTTING_DOWN' });
  const put = await fetch(`${url}/slots/${slot}/files/new`, { method: 'PUT', headers: bearer(program), body: 'x' });
  expect([put.status, ((await put.json()) as { error: unknown }).error]).toMatchObject([503, refused]);
  const fresh = await post('/execute', { ...order, execution_id: 'b' });
  expect(await fresh.json()).toMatchObject({ success: false, error: expect.stringContaining('shutting down') });
  // The same one sent again joins the one that runs.
  const again = post('/execute', order);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  expect((await fetch(`${url}/slots/${slot}/archive`, { headers: bearer(program) })).status).toBe(200);
  const signedIn = await fetch(`${url}/session`, { method: 'POST', headers: bearer(program) });
  expect([signedIn.status, signedIn.headers.get('set-cookie')]).toEqual([200, expect.stringContaining('HttpOnly')]);
  const written = await post('/execute', {
    slot_id: 'slot_1',
    tool: 'write_file',
    args: { path: 'go', content: '' },
  });
  expect(await written.json()).toMatchObject({ success: true });
  for (const joined of [over, again]) {
    expect(await (await joined).json()).toMatchObject({ success: true, output: 'old' });
  }
  await client.call('file.write', { path: 'go', data: '' });
  expect((await run).stdout).toBe('real\n');
  expect(await program.ended).toBe(0);
});

test('an upload that has begun ends', async () => {
  const program = await start(...LONG);
  const client = await program.client();
  const { slot } = await client.call('slot.acquire', {});
  const headers = { ...bearer(program), 'content-length': 8 };
  // Not in the workspace yet: a draft lies out of the slot's sight.
  const files = () => readdirSync(program.dataDir, { recursive: true });
  const before = files().length;
  const upload = request(`${program.url}/slots/${slot}/files/new`, { method: 'PUT', headers });
  const reply = new Promise<number | undefined>((resolve, reject) => {
    upload.once('response', (response) => resolve(response.resume().statusCode));
    upload.once('error', reject);
  });
  upload.write('half');
  await until('its first half is there', () => files().length > before);
  await stopping(program);
  await until('it says so', () => program.seen.stderr.includes('for 1 reply; send SIGTERM again'));
  upload.end('half');
  expect(await reply).toBe(200);
  expect(await program.ended).toBe(0);
});

test('with nothing running it goes at once and waits for nobody', async () => {
  const program = await start(...LONG);
  const client = await program.client();
  const closed = closing(client);
  await client.call('slot.acquire', {});
  await client.call('terminal.start', {});
  await client.call('terminal.keys', { keys: ['sleep 600', 'Enter'] });
  const { process } = await client.call('exec.start', { command: 'true' });
  await client.call('exec.wait', { process });
  // Waits hold nothing up.
  const waiting = client.call('terminal.wait', { text: 'never', timeoutMs: 600_000 }).catch(() => 'cut');
  const began = performance.now();
  program.child.kill('SIGTERM');
  expect(await program.ended).toBe(0);
  expect(performance.now() - began).toBeLessThan(10_000);
  expect(program.seen.stderr).toBe('');
  expect([await closed, await waiting]).toEqual([4503, 'cut']);
});

test.each([
  ['when the time is over', '300', 'slotcast: waiting up to 0.3 s for 1 command; press Ctrl-C again to stop at once\n'],
  ['at once when there is none', '0', ''],
])('what still runs is killed %s, and the recording is sealed', async (_when, drainMs, said) => {
  const program = await start('--drain-ms', drainMs);
  const client = await program.client();
  const closed = closing(client);
  await client.call('slot.acquire', {});
  const marker = `sleep 97${program.child.pid}`;
  await client.call('exec.start', { command: marker });
  await running(client, 1);
  program.child.kill('SIGINT');
  expect(await closed).toBe(4503);
  expect(await program.ended).toBe(0);
  expect(program.seen.stderr).toBe(said);
  expect(lives(marker)).toBe(false);
  expect(verdict(program)).toContain('sealed');
});

test('a second signal stops at once and leaves nothing that runs; the same one twice within half a second is one', async () => {
  const program = await start(...LONG);
  const client = await program.client();
  await client.call('slot.acquire', {});
  const marker = `sleep 96${program.child.pid}`;
  await client.call('exec.start', { command: marker });
  await running(client, 1);
  const began = performance.now();
  program.child.kill('SIGINT');
  // As npm hands it on.
  program.child.kill('SIGINT');
  await until('it waits', () => program.seen.stderr.includes('press Ctrl-C again'));
  await until('the echo is over', () => performance.now() - began > 600);
  expect([program.child.exitCode, lives(marker)]).toEqual([null, true]);
  program.child.kill('SIGINT');
  expect(await program.ended).toBe(1);
  await until('the command is gone', () => !lives(marker));
});

test('a socket of another program gets the code too, a viewer that it may come back', async () => {
  const program = await start(...LONG);
  const client = await program.client();
  const { slot } = await client.call('slot.acquire', {});
  const codes = ['/ws', `/live/${slot}`].map(async (path) => {
    const socket = new WebSocket(program.url.replace('http', 'ws') + path, { headers: bearer(program) });
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    return { closed: new Promise<number>((resolve) => socket.once('close', resolve)) };
  });
  const open = await Promise.all(codes);
  program.child.kill('SIGTERM');
  expect(await Promise.all(open.map(({ closed }) => closed))).toEqual([4503, 1001]);
  expect(await program.ended).toBe(0);
});
