// A gateway that goes politely and leaves its slots alive: --keep, SIGHUP, --replace; and a keeper that the next one does not understand.

import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import WebSocket from 'ws';
import { encodeMessage, LINK_VERSION } from '../../server/keeper/link/wire.ts';
import { until } from '../support/gateway.ts';
import { isAlive, makeProgram, type Program, signalTo, startProgram, TOKEN } from '../support/program.ts';
import { gapsIn, numbered, numbersIn } from './printer.ts';

let program: Program;
let server: Server | null = null;
afterEach(async () => {
  server?.close();
  server = null;
  await program.close();
});

/** Commands, a terminal and a lease that have to be the same under the next gateway. */
async function busySlot() {
  const client = await program.client();
  const codes: number[] = [];
  client.on('disconnected', ({ code }) => void codes.push(code));
  const slot = await client.acquire();
  const exec = slot.exec.run({ command: 'echo begun; sleep 4; echo ended; exit 8', timeoutMs: 60_000 });
  const printed = slot.terminal.run({ command: numbered('u', 800, 0.005), timeoutMs: 60_000 });
  await until('it runs', async () => (await slot.exec.list()).length === 1);
  const check = async (): Promise<void> => {
    expect(await exec).toMatchObject({ outcome: 'exited', exitCode: 8, stdout: 'begun\nended\n' });
    const { exitCode, output } = await printed;
    expect([exitCode, gapsIn(numbersIn(output, 'u'), 800)]).toEqual([0, []]);
  };
  return { slot, codes, check };
}

test('SIGHUP: connections are told to come back, the exit code says to start again, and all goes on', async () => {
  program = await startProgram();
  const { codes, check } = await busySlot();
  const { keeper } = program;
  expect(await program.end('SIGHUP')).toBe(75);
  await until('it is disconnected', () => codes.length > 0);
  expect(codes).toEqual([4503]);
  expect(isAlive(keeper)).toBe(true);
  expect(existsSync(join(program.dataDir, 'gateway.pid'))).toBe(false);
  await program.serve();
  expect(program.keeper).toEqual(keeper);
  await check();
}, 60_000);

test('SIGHUP just after the keeper has died: the lease goes on with the new one', async () => {
  program = await startProgram();
  const client = await program.client();
  const slot = await client.acquire();
  const losses: unknown[] = [];
  client.on('lost', (loss) => void losses.push(loss));
  const running = slot.exec.run({ command: 'sleep 7601' });
  await until('it runs', async () => (await slot.exec.list()).length === 1);
  signalTo(program.keeper, 'SIGKILL');
  expect((await running).outcome).toBe('lost');
  expect(await program.end('SIGHUP')).toBe(75);
  await program.serve();
  expect(await slot.exec.run({ command: 'exit 3' })).toMatchObject({ outcome: 'exited', exitCode: 3 });
  expect(losses).toEqual([]);
}, 60_000);

test('who sends SIGHUP again, since one client is slow to go, ends the gateway and not the slots', async () => {
  program = await startProgram();
  const { slot, check } = await busySlot();
  const { keeper } = program;
  const deaf = new WebSocket(`${program.url.replace('http', 'ws')}/live/${slot.name}`, ['v1.alis'], {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  await new Promise((resolve) => deaf.once('open', resolve));
  deaf.pause();
  program.gateway.kill('SIGHUP');
  await until('it goes', () =>
    fetch(`${program.url}/healthz`).then(
      () => false,
      () => true,
    ),
  );
  // Longer than a signal that comes twice by itself.
  await new Promise((resolve) => setTimeout(resolve, 600));
  program.gateway.kill('SIGHUP');
  expect(await program.gateway.ended).toBe(75);
  deaf.terminate();
  expect(isAlive(keeper)).toBe(true);
  await program.serve();
  await check();
}, 60_000);

test('keyed commands that are sent without a pause are done once each, whoever takes the place', async () => {
  program = await startProgram();
  const slot = await (await program.client()).acquire();
  let isOn = true;
  let count = 0;
  const workers = ['a', 'b', 'c'].map(async (name) => {
    for (let n = 1; isOn; n++) {
      const call = { command: `echo ${name}-${n} >>done`, key: `${name}-${n}`, timeoutMs: 60_000 };
      expect(await slot.exec.run(call)).toMatchObject({ outcome: 'exited', exitCode: 0 });
      count++;
    }
  });
  for (let round = 0; round < 3; round++) {
    const reached = count + 10;
    await until('it goes on', () => count > reached);
    await program.serve('--replace');
  }
  isOn = false;
  await Promise.all(workers);
  const lines = (await slot.file.readText('done')).trim().split('\n');
  expect([new Set(lines).size, lines.length]).toEqual([count, count]);
}, 120_000);

test('--replace leaves the gateway alone when the keeper is none for the next one', async () => {
  program = await makeProgram();
  server = createServer((socket) => {
    socket.on('error', () => {});
    const greeting = { link: LINK_VERSION + 1, version: '99.1.2', pid: process.pid };
    for (const part of encodeMessage({ name: 'greeting', params: greeting })) socket.write(part);
  });
  await new Promise<void>((resolve) => server?.listen(join(program.dataDir, 'keeper.sock'), resolve));
  // The gateway that runs: this process, which must not get the signal.
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  writeFileSync(join(program.dataDir, 'gateway.pid'), `${process.pid} ${started}\n`);
  let signals = 0;
  const count = (): void => void signals++;
  process.on('SIGHUP', count);
  await expect(program.serve('--replace')).rejects.toThrow(/99\.1\.2/);
  process.off('SIGHUP', count);
  expect(signals).toBe(0);
}, 60_000);

test('what lives unsandboxed, or with the network, never goes on under a gateway that says otherwise', async () => {
  program = await startProgram('--sandbox', 'none', '--auth', 'token');
  await (await program.client()).acquire();
  const { keeper } = program;
  await program.end('SIGKILL');
  await expect(program.serve('--sandbox', 'bwrap')).rejects.toThrow(
    new RegExp(`^ended with 1: slotcast: [^\n]*--sandbox none[^\n]*kill ${keeper.pid}\\.\n$`),
  );
  expect(isAlive(keeper)).toBe(true);
  await program.serve();
  expect(program.said.stdout).toContain('leases from before that go on: 1\n');
}, 60_000);

test('leases of slots that there are no more are ended, and the operator is told', async () => {
  program = await startProgram();
  const client = await program.client();
  await client.acquire({ slot: 'slot_3' });
  const lost = new Promise((resolve) => client.on('lost', resolve));
  await program.end('SIGKILL');
  await program.serve('--slots', '2');
  await lost;
  expect(program.said.stderr).toMatch(/slot_3[^\n]*its lease was ended/);
}, 60_000);

test('SIGTERM ends everything also when somebody has stopped the keeper', async () => {
  program = await startProgram();
  const slot = await (await program.client()).acquire();
  slot.exec.run({ command: 'sleep 7701' }).catch(() => undefined);
  await until('it runs', async () => (await slot.exec.list()).length === 1);
  const { keeper } = program;
  signalTo(keeper, 'SIGSTOP');
  expect(await program.end('SIGTERM')).toBe(0);
  await until('the keeper is gone', () => !isAlive(keeper));
}, 60_000);

test('--keep: SIGTERM leaves the slots alive', async () => {
  program = await startProgram('--keep');
  const { check } = await busySlot();
  const { keeper } = program;
  expect(await program.end('SIGTERM')).toBe(0);
  expect(isAlive(keeper)).toBe(true);
  await program.serve();
  await check();
}, 60_000);

test('without --keep SIGTERM ends the keeper too, and leaves no socket and no claim', async () => {
  program = await startProgram();
  await (await (await program.client()).acquire()).terminal.run({ command: 'sleep 7401 &' });
  const { keeper } = program;
  expect(await program.end('SIGTERM')).toBe(0);
  await until('the keeper is gone', () => !isAlive(keeper));
  const left = ['keeper.pid', 'keeper.sock', 'gateway.pid'].filter((name) => existsSync(join(program.dataDir, name)));
  expect(left).toEqual([]);
}, 60_000);

test('--replace takes the place of the gateway that runs, and all goes on', async () => {
  program = await startProgram();
  const { check } = await busySlot();
  const { keeper, gateway: former } = program;
  await expect(program.serve()).rejects.toThrow(/another gateway uses/);
  await program.serve('--replace');
  expect(await former.ended).toBe(75);
  expect(program.keeper).toEqual(keeper);
  await check();
  // Where none runs it is an ordinary start.
  await program.end('SIGKILL');
  await program.serve('--replace');
}, 60_000);

test('--replace leaves the gateway alone when the new one could not serve: a port of another program, an address that is none, a mount that is not there', async () => {
  program = await startProgram();
  const { check } = await busySlot();
  const { gateway: former } = program;
  server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const refused = async (...flags: string[]): Promise<string> =>
    await program.serve('--replace', ...flags).then(
      () => 'it took the place',
      (error: Error) => error.message,
    );
  expect(await refused('--port', String(port))).toMatch(/port \d+ of 127\.0\.0\.1 is in use by another program/);
  expect(await refused('--host', '192.0.2.7')).toMatch(/EADDRNOTAVAIL/);
  expect(await refused('--mount', '/is/not/there:/x')).toMatch(/--mount \/is\/not\/there: there is no such file/);
  expect((await fetch(`${program.url}/readyz`)).status).toBe(200);
  expect(readFileSync(join(program.dataDir, 'gateway.pid'), 'utf8')).toMatch(new RegExp(`^${former.pid} `));
  await check();
}, 60_000);

test('a gateway that was told to stop is not cut short by who wants its place', async () => {
  program = await startProgram('--drain-ms', '20000');
  const slot = await (await program.client()).acquire();
  const run = slot.exec.run({ command: 'until [ -e go ]; do sleep 0.05; done; exit 5' });
  await until('it runs', async () => (await slot.exec.list()).length === 1);
  const { gateway: former } = program;
  former.kill('SIGTERM');
  await until('it drains', () => program.said.stderr.includes('waiting up to 20 s'));
  // Two signals within half a second are one.
  await new Promise((resolve) => setTimeout(resolve, 600));
  former.kill('SIGHUP');
  const next = program.serve('--replace');
  await slot.file.mkdir('go');
  expect(await run).toMatchObject({ outcome: 'exited', exitCode: 5 });
  expect(await former.ended).toBe(0);
  await next;
}, 60_000);

test('a keeper that speaks another version of the link is refused in one sentence, and lives on', async () => {
  program = await makeProgram();
  server = createServer((socket) => {
    socket.on('error', () => {});
    const greeting = { link: LINK_VERSION + 1, version: '99.1.2', pid: process.pid };
    for (const part of encodeMessage({ name: 'greeting', params: greeting })) socket.write(part);
  });
  const file = join(program.dataDir, 'keeper.sock');
  await new Promise<void>((resolve) => server?.listen(file, resolve));
  await expect(program.serve()).rejects.toThrow(
    new RegExp(
      `^ended with 1: slotcast: the keeper of [^\n]*99\\.1\\.2[^\n]*version ${LINK_VERSION + 1} of the link[^\n]*\n$`,
    ),
  );
  expect(existsSync(file)).toBe(true);
}, 60_000);

test('one that says nothing that makes sense is refused too', async () => {
  program = await makeProgram();
  server = createServer((socket) => {
    socket.on('error', () => {});
    socket.write(Buffer.from([0, 0, 0, 3, 0xc1, 0xc1, 0xc1]));
  });
  await new Promise<void>((resolve) => server?.listen(join(program.dataDir, 'keeper.sock'), resolve));
  // No process has a claim on it, so none is named.
  await expect(program.serve()).rejects.toThrow(/\nslotcast: (?![^\n]*null)[^\n]*keeper[^\n]*\n$/);
}, 60_000);

test('a socket and a claim of a keeper that is dead are no obstacle', async () => {
  program = await startProgram();
  const claim = readFileSync(join(program.dataDir, 'keeper.pid'), 'utf8');
  await program.end('SIGTERM');
  // The same pid, started at another time: this test itself.
  writeFileSync(join(program.dataDir, 'keeper.pid'), `${process.pid} ${claim.split(' ')[1]}`);
  rmSync(join(program.dataDir, 'keeper.sock'), { force: true });
  await program.serve();
  expect(program.keeper.pid).not.toBe(process.pid);
}, 60_000);
