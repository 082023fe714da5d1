import { afterEach, beforeEach, expect, test } from 'vitest';
import { Fault, type Output, type Process } from '../../../client/index.ts';
import type { Notice } from '../../../protocol/contract.ts';
import { WireServer } from './wire-server.ts';

let server: WireServer;
beforeEach(async () => {
  server = await WireServer.open();
});
afterEach(() => server.close());

const EXIT: Notice<'exec.exit'> = {
  process: 'p1',
  outcome: 'exited',
  exitCode: 0,
  signal: null,
  stdoutBytes: 10,
  stderrBytes: 0,
  truncated: false,
  durationMs: 5,
  sandboxed: true,
  network: 'none',
};

async function read(process: Process): Promise<Output[]> {
  const output: Output[] = [];
  for await (const part of process) output.push(part);
  return output;
}

test('output that comes in the same turn as the reply is not lost', async () => {
  server.answer('exec.start', (_params, { id, peer }) => {
    // One write on the line: reply, output and end.
    peer.socket.send(JSON.stringify({ jsonrpc: '2.0', id, result: { process: 'p1' } }));
    peer.notify('exec.output', { process: 'p1', stream: 'stdout', data: 'at once\n', offset: 0 });
    peer.notify('exec.exit', EXIT);
    return new Promise(() => {});
  });
  const slot = await (await server.client()).acquire();
  const process = await slot.exec.start({ command: 'echo at once' });
  expect(await read(process)).toMatchObject([{ stream: 'stdout', data: 'at once\n', offset: 0 }]);
  expect(await process.exit).toMatchObject({ outcome: 'exited', exitCode: 0 });
  expect(server.seen('exec.start')[0]?.params).toMatchObject({ stream: true });
});

test('after a lost connection output goes on where it was: nothing twice, nothing missed', async () => {
  server.answer('exec.start', () => ({ process: 'p1' }));
  const client = await server.client();
  const slot = await client.acquire();
  const heard: string[] = [];
  client.on('exec.output', ({ data }) => heard.push(data));
  const process = await slot.exec.start({ command: 'x' });
  const part = (data: string, offset: number): Notice<'exec.output'> => ({
    process: 'p1',
    stream: 'stdout',
    data,
    offset,
  });
  server.peer.notify('exec.output', part('häl', 0));
  await server.until('the output', () => heard.length === 1);
  server.peer.socket.terminate();
  await server.until('the resume', () => server.seen('slot.acquire').length === 2);
  expect(server.seen('slot.acquire')[1]?.params['received']).toEqual({ p1: { stdout: 4, stderr: 0 } });
  // A gateway that starts earlier than asked does no harm.
  server.peer.notify('exec.output', part('äl', 1));
  server.peer.notify('exec.output', part('lo\n', 4));
  server.peer.notify('exec.exit', EXIT);
  expect((await read(process)).map(({ data }) => data).join('')).toBe('hällo\n');
  expect(heard.join('')).toBe('hällo\n');
});

test('a command that ended while its start was not yet confirmed is asked for', async () => {
  let starts = 0;
  server.answer('exec.start', () => (++starts === 1 ? new Promise(() => {}) : { process: 'p1' }));
  server.answer('exec.wait', () => ({ ...EXIT, stdout: 'meanwhile\n', stderr: '' }));
  const slot = await (await server.client()).acquire();
  const starting = slot.exec.start({ command: 'x' });
  await server.until('the start', () => starts === 1);
  server.peer.socket.terminate();
  const process = await starting;
  expect((await read(process)).map(({ data }) => data)).toEqual(['meanwhile\n']);
  expect(await process.exit).toMatchObject({ exitCode: 0 });
});

test('a start does not fail because the result of what it began cannot be had just now', async () => {
  let starts = 0;
  server.answer('exec.start', () => (++starts === 1 ? new Promise(() => {}) : { process: 'p1' }));
  server.answer('exec.wait', () => {
    throw new Fault('SANDBOX_UNAVAILABLE');
  });
  const slot = await (await server.client()).acquire();
  const starting = slot.exec.start({ command: 'x' });
  await server.until('the start', () => starts === 1);
  server.peer.socket.terminate();
  const process = await starting;
  expect(process.id).toBe('p1');
  await expect(process.exit).rejects.toMatchObject({ fault: 'SANDBOX_UNAVAILABLE' });
});

test('a client that takes a lease up gets the output that comes before the reply', async () => {
  server.answer('slot.acquire', (_params, { peer, id }) => {
    peer.notify('exec.output', { process: 'p4', stream: 'stdout', data: 'rest\n', offset: 6 });
    peer.notify('exec.exit', { ...EXIT, process: 'p4' });
    peer.socket.send(JSON.stringify({ jsonrpc: '2.0', id, result: { slot: 'slot_0', resumed: true } }));
    return new Promise(() => {});
  });
  server.answer('exec.wait', () => ({ ...EXIT, process: 'p4', stdout: 'first\nrest\n', stderr: '' }));
  const client = await server.client();
  const slot = await client.acquire({ resume: 'secret', received: { p4: { stdout: 6, stderr: 0 } } });
  const process = slot.exec.process('p4');
  expect((await read(process)).map(({ data }) => data)).toEqual(['rest\n']);
  expect(await process.exit).toMatchObject({ process: 'p4' });
});

test('who reads slowly holds the command back, on each connection anew, and lets it go on when it has caught up', async () => {
  server.answer('exec.start', () => ({ process: 'p1' }));
  server.answer('exec.hold', () => ({}));
  const slot = await (await server.client()).acquire();
  const process = await slot.exec.start({ command: 'x' });
  const mib = 1024 * 1024;
  let printed = 0;
  const print = (count: number): void => {
    for (let part = 0; part < count; part++, printed += mib) {
      const data = 'x'.repeat(mib);
      server.peer.notify('exec.output', { process: 'p1', stream: 'stdout', data, offset: printed });
    }
  };
  const held = (): unknown[] => server.seen('exec.hold').map(({ params }) => params['on']);
  const reader = process[Symbol.asyncIterator]();
  const first = reader.next();
  print(1);
  await first;
  print(9);
  await server.until('it is held back', () => held().length === 1);
  server.peer.socket.terminate();
  await server.until('the resume', () => server.seen('slot.acquire').length === 2);
  await server.until('it is held back again', () => held().length === 2);
  for (let part = 1; part < 10; part++) await reader.next();
  const last = reader.next();
  await server.until('it goes on', () => held().length === 3);
  expect(held()).toEqual([true, true, false]);
  server.peer.notify('exec.exit', EXIT);
  expect((await last).done).toBe(true);
});

test('bytes are written as base64, text as it is', async () => {
  server.answer('exec.start', () => ({ process: 'p1' }));
  server.answer('exec.write', () => ({}));
  const slot = await (await server.client()).acquire();
  const process = await slot.exec.start({ command: 'cat', stdin: 'open' });
  await process.write('text');
  await process.write(Uint8Array.of(0xff, 0x00), { eof: true });
  expect(server.seen('exec.write').map(({ params }) => params)).toEqual([
    { process: 'p1', data: 'text', eof: false },
    { process: 'p1', data: '/wA=', encoding: 'base64', eof: true },
  ]);
});
