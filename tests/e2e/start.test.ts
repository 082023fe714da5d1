// The program as an operator starts it: `slotcast serve` in a process of its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connect } from '../../client/index.ts';
import { endKeeper } from '../support/keeper.ts';

const program = new URL('../../dist/cli/main.js', import.meta.url).pathname;
let dataDir: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'slotcast-start-'));
});
afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => end(child, 'SIGKILL')));
  await endKeeper(dataDir);
  rmSync(dataDir, { recursive: true, force: true });
});

function slotcast(...args: string[]) {
  const env = { PATH: process.env['PATH'], HOME: dataDir, SLOTCAST_DATA_DIR: dataDir };
  const child = spawn(process.execPath, [program, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  const seen = { stdout: '', stderr: '' };
  child.stdout.on('data', (data) => {
    seen.stdout += data;
  });
  child.stderr.on('data', (data) => {
    seen.stderr += data;
  });
  const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
  return { child, seen, closed };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = new Promise((resolve) => child.on('close', resolve));
  child.kill(signal);
  await closed;
}

async function serve(...flags: string[]) {
  const started = slotcast('serve', '--port', '0', '--slots', '2', ...flags);
  const url = await new Promise<string>((resolve, reject) => {
    started.child.stdout.on('data', () => {
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(started.seen.stdout);
      if (found) resolve(found[0]);
    });
    started.child.on('close', () => reject(new Error(`ended: ${started.seen.stderr}`)));
  });
  return { ...started, url };
}

test('serve prints the address to open and where the token lies, and the token opens it', async () => {
  const { url, seen } = await serve();
  const tokenFile = join(dataDir, 'token');
  expect(seen.stdout).toContain(url);
  expect(seen.stdout).toContain(tokenFile);
  expect(statSync(tokenFile).mode & 0o777).toBe(0o600);
  const client = await connect({ url, token: readFileSync(tokenFile, 'utf8').trim() });
  await client.call('slot.acquire', {});
  expect((await client.call('exec.run', { command: 'echo real' })).stdout).toBe('real\n');
  await client.close();
});

test('the address that serve prints signs an admin in once, and open prints another one', async () => {
  const { url, seen } = await serve();
  const opened = slotcast('open', '--url', url);
  expect(await opened.closed).toBe(0);
  const addresses = [...(seen.stdout + opened.seen.stdout).matchAll(/(http:\S+\/)#ticket=(\S+)$/gm)];
  expect(addresses.map(([, base]) => base)).toEqual([`${url}/`, `${url}/`]);
  for (const [, , ticket] of addresses) {
    const signIn = () =>
      fetch(`${url}/session`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ ticket }),
      });
    const reply = await signIn();
    expect([reply.status, await reply.json()]).toMatchObject([200, { role: 'admin', slot: null, cast: null }]);
    expect((await signIn()).status).toBe(401);
  }
  expect(seen.stderr).not.toContain('ticket');
});

test('where everybody is let in serve prints the plain address', async () => {
  const { seen } = await serve('--auth', 'none');
  expect(seen.stdout).toMatch(/^slotcast is at http:\/\/127\.0\.0\.1:\d+\/\neverybody may drive: --auth none\n$/);
});

test.each(['SIGTERM', 'SIGINT'] as const)('%s ends it cleanly, commands and terminals with it', async (signal) => {
  const { child, url, closed } = await serve();
  const client = await connect({ url, token: readFileSync(join(dataDir, 'token'), 'utf8').trim(), reconnect: false });
  await client.call('slot.acquire', {});
  const marker = `sleep 98${process.pid}`;
  await client.call('exec.start', { command: marker });
  await client.call('terminal.start', {});
  child.kill(signal);
  expect(await closed).toBe(0);
  const { execFileSync } = await import('node:child_process');
  expect(execFileSync('ps', ['-eo', 'args']).toString()).not.toContain(marker);
  await client.close();
});

test('a taken port is one line that says what to do', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  const { seen, closed } = slotcast('serve', '--port', String(port));
  expect(await closed).toBe(1);
  expect(seen.stderr.trim()).toMatch(new RegExp(`^slotcast: .*${port}.*in use.*--port`));
  expect(seen.stderr.trim()).not.toContain('\n');
  server.close();
});

test('a data directory that another gateway uses is one line', async () => {
  await serve();
  const { seen, closed } = slotcast('serve', '--port', '0');
  expect(await closed).toBe(1);
  expect(seen.stderr.trim()).toMatch(/^slotcast: .*another gateway.*--data-dir/);
  expect(seen.stderr.trim()).not.toContain('\n');
});

test('a data directory left by a killed gateway is taken over', async () => {
  const { child } = await serve();
  await end(child, 'SIGKILL');
  const { url } = await serve();
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
});

test('a bad flag is one line', async () => {
  const { seen, closed } = slotcast('serve', '--slots', 'many');
  expect(await closed).not.toBe(0);
  expect(seen.stderr.trim()).toMatch(/^slotcast: --slots takes number/);
  expect(seen.stderr.trim()).not.toContain('\n');
});

test('exec passes output, stdin and the exit code through', async () => {
  const { url } = await serve();
  const { seen, closed } = slotcast('exec', '--url', url, 'new', '--', 'sh', '-c', 'echo out; echo err >&2; exit 9');
  expect(await closed).toBe(9);
  expect(seen).toEqual({ stdout: 'out\n', stderr: 'err\n' });
});

test('slots, casts, token and doctor speak', async () => {
  const { url } = await serve();
  const slots = slotcast('slots', '--url', url);
  expect(await slots.closed).toBe(0);
  expect(slots.seen.stdout).toContain('slot_0');
  expect(await slotcast('casts', '--url', url).closed).toBe(0);
  const token = slotcast('token', '--role', 'viewer', '--slot', 'slot_1', '--ttl', '1h');
  expect(await token.closed).toBe(0);
  const viewer = await connect({ url, token: token.seen.stdout.trim() });
  expect((await viewer.call('slot.list', {})).slots).toHaveLength(1);
  await viewer.close();
  const doctor = slotcast('doctor');
  expect(await doctor.closed).toBe(0);
  expect(doctor.seen.stdout).toContain('sandbox');
});

test('nothing of a secret is in the log', async () => {
  const { url, seen, child } = await serve('--log-level', 'trace');
  const token = readFileSync(join(dataDir, 'token'), 'utf8').trim();
  const client = await connect({ url, token });
  await client.call('slot.acquire', {});
  await client.call('exec.run', { command: 'echo canary-in-command', env: { SECRET: 'canary-in-env' } });
  await client.close();
  await end(child, 'SIGTERM');
  const log = seen.stdout + seen.stderr;
  expect(log).not.toContain(token);
  expect(log).not.toContain('canary');
  expect(existsSync(join(dataDir, 'casts'))).toBe(true);
});
