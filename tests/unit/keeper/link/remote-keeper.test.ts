// A real keeper in a process of its own, and gateways that come and go.
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { KeptProcess } from '../../../../server/keeper/keeper.ts';
import { encodeMessage, LINK_VERSION } from '../../../../server/keeper/link/wire.ts';
import { endKept } from '../../../../server/slot/slot.ts';
import { until } from '../../../support/gateway.ts';
import { keeperOf } from '../../../support/keeper.ts';
import type { Home } from '../place-fixture.ts';
import { type Link, lease, makeLink } from './link-fixture.ts';

let link: Link;
let home: Home;
const reach = () => link.reach();

beforeEach(async () => {
  link = await makeLink();
  home = link.home;
});
afterEach(async () => {
  await link.close();
});

const textOf = (process: KeptProcess): string =>
  Buffer.concat([process.output('stdout').head, process.output('stdout').tail]).toString();

test('a command is run by the keeper, and its markers stand in the log', async () => {
  const { log, start } = await lease(await reach());
  const process = await start('cat; echo done; exit 3', { input: Buffer.from('given\n') });
  expect(await process.ended).toMatchObject({ outcome: 'exited', exitCode: 3 });
  expect(textOf(process)).toBe('given\ndone\n');
  await until('the markers', () => log.lastSeq === 2);
  expect(log.read(0, 10_000)).toMatchObject([
    { seq: 1, code: 'm', data: 'p1 $ cat; echo done; exit 3' },
    { seq: 2, code: 'm', data: expect.stringMatching(/^p1 exited 3 \d+ms$/) },
  ]);
});

test('a marker does not wait for a frame that never comes, and comes before one that does', async () => {
  const { log, terminal } = await lease(await reach());
  log.append('m', 'alone');
  await until('the marker', () => log.lastSeq === 1);
  log.append('m', 'before');
  await terminal('echo printed');
  await until('the output', () => JSON.stringify(log.read(0, 10_000)).includes('printed'));
  const frames = log.read(0, 10_000);
  expect('from' in frames ? [] : frames.slice(0, 3)).toMatchObject([
    { data: 'alone' },
    { data: 'before' },
    { code: 'o' },
  ]);
});

test('the next gateway has what ran, what ended meanwhile, what was noted and every frame', async () => {
  const first = await reach();
  const { start, terminal, log } = await lease(first);
  await terminal('for i in $(seq 1 20); do echo line $i; sleep 0.02; done; read');
  const ended = await start('echo before; exit 1');
  await ended.ended;
  await start('echo meanwhile; exit 2');
  await start('echo on; sleep 1; exit 4');
  first.note('cast_one', 'word', 'kept');
  first.note('cast_one', 'gone', 'x');
  first.note('cast_one', 'gone', null);
  await until('some frames', () => log.lastSeq > 5);
  first.leave();

  const second = await reach();
  expect(second.startedHere).toBe(false);
  const kept = second.takeKept('slot_0');
  if (kept === null) throw new Error('nothing was kept');
  expect(kept.notes).toEqual(new Map([['word', 'kept']]));
  expect([...kept.processes.keys()]).toEqual(['p1', 'p2', 'p3']);
  const ends = await Promise.all([...kept.processes.values()].map((process) => process.ended));
  expect(ends.map(({ outcome, exitCode }) => [outcome, exitCode])).toEqual([1, 2, 4].map((code) => ['exited', code]));
  expect([...kept.processes.values()].map(textOf)).toEqual(['before\n', 'meanwhile\n', 'on\n']);
  await kept.replay(async () => {});
  const output = () => {
    const frames = kept.log.read(0, Number.POSITIVE_INFINITY);
    return 'from' in frames ? '' : frames.map(({ code, data }) => (code === 'o' ? data : '')).join('');
  };
  await until('the last line', () => output().includes('line 20\r\n'));
  expect(output()).toBe(Array.from({ length: 20 }, (_, index) => `line ${index + 1}\r\n`).join(''));
  expect(second.takeKept('slot_0')).toBeNull();
  await kept.terminal?.write('\r');
  expect(await kept.terminal?.ended).toEqual({ exitCode: 0 });
});

test('a signal and an end of input are not told as given by a gateway that has left', async () => {
  const first = await reach();
  const { start } = await lease(first);
  const command = await start('cat', { stdin: 'open' });
  first.leave();
  await expect(command.signal('TERM')).rejects.toMatchObject({ fault: 'SANDBOX_UNAVAILABLE' });
  await expect(command.closeInput()).rejects.toMatchObject({ fault: 'SANDBOX_UNAVAILABLE' });
  const kept = (await reach()).takeKept('slot_0')?.processes.get('p1');
  expect(kept?.end).toBeNull();
  expect(await kept?.signal('TERM')).toBe(true);
  expect(await kept?.ended).toMatchObject({ outcome: 'signaled', signal: 'TERM' });
});

test('what a gateway said while the keeper hung is done, though the next one is there when it goes on', async () => {
  const first = await reach();
  await lease(first);
  const pid = keeperOf(home.dataDir) ?? 0;
  process.kill(pid, 'SIGSTOP');
  // More than is read at once.
  for (let n = 1; n <= 100; n++) first.note('cast_one', `note ${n}`, 'x'.repeat(1000));
  first.leave();
  const next = reach();
  process.kill(pid, 'SIGCONT');
  expect((await next).takeKept('slot_0')?.notes.size).toBe(100);
});

test('what a gateway left that died as it ended a lease is ended by the next one', async () => {
  const first = await reach();
  const { terminal, start } = await lease(first);
  expect(await (await terminal('echo last; exit 3')).ended).toEqual({ exitCode: 3 });
  await start('sleep 1000');
  first.leave();
  const second = await reach();
  const kept = second.takeKept('slot_0');
  if (kept === null) throw new Error('nothing was kept');
  await endKept(kept, second);
  expect(kept.log.closed).toBe(true);
  expect((await kept.processes.get('p1')?.ended)?.outcome).toBe('signaled');
});

test('frames that fell out of the keeper while no gateway took them are read from the recording', async () => {
  const first = await reach();
  const { terminal } = await lease(first);
  first.leave();
  const second = await reach();
  const kept = second.takeKept('slot_0');
  if (kept === null) throw new Error('nothing was kept');
  await kept.replay(async () => {});
  void terminal;
  // Twice what the keeper has in memory of one log.
  await second.startTerminal({
    ...{ place: kept.place, network: 'none', cast: 'cast_one', cols: 80, rows: 24, env: {} },
    argv: ['bash', '-c', 'seq 1 300000; read'],
  });
  second.leave();
  const third = await reach();
  const again = third.takeKept('slot_0');
  if (again === null) throw new Error('nothing was kept');
  let text = '';
  again.log.listen((frame) => {
    if (frame?.code === 'o') text += frame.data;
  });
  await again.replay(async () => {});
  await until('the last number', () => text.endsWith('300000\r\n'), 30_000);
  const numbers = text.split('\r\n').slice(0, -1);
  expect(numbers.length).toBe(300_000);
  expect(numbers.every((number, index) => number === String(index + 1))).toBe(true);
  await again.terminal?.kill();
}, 60_000);

test('what is printed comes once and whole, to fast listeners, slow ones and those who come late', async () => {
  const { start } = await lease(await reach());
  const bytes = randomBytes(3_000_000);
  const process = await start('cat', { input: bytes, maxOutputBytes: 8_000_000 });
  const collect = (slow: boolean) => {
    const parts: Buffer[] = [];
    let next = 0;
    const chunk = (stream: string, data: Buffer, offset: number): Promise<void> | void => {
      if (stream !== 'stdout') return;
      expect(offset).toBe(next);
      next += data.length;
      parts.push(Buffer.from(data));
      return slow ? new Promise((resolve) => setImmediate(resolve)) : undefined;
    };
    process.subscribe({ chunk }, { stdout: 0, stderr: 0 });
    return parts;
  };
  const heard = [collect(false), collect(true)];
  await process.ended;
  heard.push(collect(false));
  for (const parts of heard) expect(Buffer.concat(parts).equals(bytes)).toBe(true);
});

test('what a command printed is still there when its bytes were counted since, and asked for by many at once it crosses the link twice at most', async () => {
  const { start } = await lease(await reach());
  const process = await start('head -c 3000000 /dev/zero | tr "\\0" a; sleep 60');
  await until('it printed', async () => (await process.totals()).stdout === 3_000_000);
  await process.refresh();
  await process.totals();
  expect(process.output('stdout').head.length).toBeGreaterThan(100_000);
  const kept = new Set<unknown>();
  const asks = Array.from({ length: 50 }, () => process.refresh().then(() => kept.add(process.output('stdout').head)));
  await Promise.all(asks);
  expect(kept.size).toBeLessThanOrEqual(2);
  await process.kill();
});

test('a listener that takes nothing holds the command up, and nothing piles up', async () => {
  const { start } = await lease(await reach());
  const process = await start('yes | head -c 50000000');
  let taken = 0;
  const subscription = process.subscribe(
    {
      chunk: (_stream, data) => {
        taken += data.length;
        return new Promise(() => {});
      },
    },
    { stdout: 0, stderr: 0 },
  );
  await until('it printed', () => taken > 0);
  let total = 0;
  await until('it is held up', async () => {
    const before = total;
    total = (await process.totals()).stdout;
    return total > 0 && total === before;
  });
  expect(total).toBeLessThan(5_000_000);
  expect(process.end).toBeNull();
  subscription.close();
  expect(await process.ended).toMatchObject({ outcome: 'exited', exitCode: 0 });
  expect(process.output('stdout').total).toBe(50_000_000);
});

test('when the keeper dies everything in it is lost, nothing is invented, and another one is there', async () => {
  const keeper = await reach();
  let restarts = 0;
  keeper.restarted = async () => void restarts++;
  const { log, start, terminal } = await lease(keeper);
  const process = await start('echo x; sleep 100');
  const shell = await terminal('sleep 100');
  const pid = keeperOf(home.dataDir) ?? 0;
  globalThis.process.kill(pid, 'SIGKILL');
  expect(await process.ended).toMatchObject({ outcome: 'lost', exitCode: null, signal: null });
  expect(await shell.ended).toEqual({ exitCode: null, lost: true });
  expect(log.closed).toBe(true);
  await until('another keeper', () => restarts === 1);
  expect(keeper.pid).not.toBe(pid);
  expect(link.said.join('\n')).toContain('the keeper has died, and everything that ran with it');
  const next = await lease(keeper, 'cast_two');
  expect(await (await next.start('exit 5')).ended).toMatchObject({ exitCode: 5 });
});

test('a keeper of another version is refused in words, and left alone', async () => {
  const server = createServer((socket) => {
    const greeting = { name: 'greeting', params: { link: LINK_VERSION + 1, version: '9.9.9', pid: 4242 } };
    for (const part of encodeMessage(greeting)) socket.write(part);
  });
  await new Promise<void>((resolve) => server.listen(join(home.dataDir, 'keeper.sock'), resolve));
  await expect(reach()).rejects.toThrow(/process 4242.*slotcast 9\.9\.9.*version 4.*kill 4242/);
  await new Promise((resolve) => server.close(resolve));
});

test('a keeper that is stopped is told as such', { timeout: 30_000 }, async () => {
  const first = await reach();
  await lease(first);
  const pid = keeperOf(home.dataDir) ?? 0;
  first.leave();
  process.kill(pid, 'SIGSTOP');
  try {
    await expect(reach()).rejects.toThrow(`process ${pid}) does not answer`);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  expect((await reach()).takeKept('slot_0')?.spec.cast).toBe('cast_one');
});

test('a keeper without a lease goes with its gateway; with one it goes on', async () => {
  const first = await reach();
  first.leave();
  await until('it is gone', () => keeperOf(home.dataDir) === null);
  const second = await reach();
  await lease(second);
  second.leave();
  expect((await reach()).startedHere).toBe(false);
});
