// kill -9 of the gateway: what runs in the slots goes on without it, and the next one has all of it.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Client, type Slot, UnconfirmedError } from '../../client/index.ts';
import type { Frame } from '../../protocol/frame.ts';
import { until } from '../support/gateway.ts';
import { commandOf, isAlive, type Program, startProgram, treeOf } from '../support/program.ts';
import { gapsIn, numbered, numbersIn, recorded } from './printer.ts';

const SLOTS = 20;
/** A busy machine needs longer than the second that is promised of an idle one. */
const GENEROUS_MS = 15_000;

let program: Program;

beforeEach(async () => {
  program = await startProgram('--slots', String(SLOTS));
});
afterEach(async () => {
  await program.close();
});

interface Agent {
  readonly client: Client;
  readonly slot: Slot;
}

async function agents(count: number): Promise<Agent[]> {
  return await Promise.all(
    Array.from({ length: count }, async () => {
      const client = await program.client();
      return { client, slot: await client.acquire() };
    }),
  );
}

test('20 commands and 20 busy terminals go on through it, and the next gateway has them at once', async () => {
  const all = await agents(SLOTS);
  const runs = await Promise.all(
    all.map(async ({ slot }, index) => {
      const command = `echo once >>count; echo begun; sleep 6; echo ended; exit ${index}`;
      const exec = slot.exec.run({ command, key: 'work', timeoutMs: 120_000 });
      const printed = slot.terminal.run({ command: numbered(`t${index}`, 600, 0.01), timeoutMs: 120_000 });
      await until('both run', async () => (await slot.exec.list()).length === 1 && (await slot.info()).processes === 1);
      return { exec, printed };
    }),
  );
  const { keeper } = program;
  await program.end('SIGKILL');
  expect(isAlive(keeper)).toBe(true);
  const { tookMs } = await program.serve();
  console.log(`a gateway with ${SLOTS} busy slots of a former one was there after ${Math.round(tookMs)} ms`);
  expect(tookMs).toBeLessThan(GENEROUS_MS);
  expect(program.keeper).toEqual(keeper);
  for (const [index, { exec, printed }] of runs.entries()) {
    expect(await exec).toMatchObject({ outcome: 'exited', exitCode: index, stdout: 'begun\nended\n' });
    const ran = await printed;
    expect([ran.outcome, ran.exitCode, gapsIn(numbersIn(ran.output, `t${index}`), 600)]).toEqual(['exited', 0, []]);
  }
  for (const [index, { slot, client }] of all.entries()) {
    // Once, though the call was sent twice.
    expect(await slot.file.readText('count')).toBe('once\n');
    const { cast } = slot;
    await slot.release();
    expect(gapsIn(numbersIn(await recorded(client, cast), `t${index}`), 600)).toEqual([]);
    expect(await client.cast.verify(cast)).toMatchObject({ ok: true, sealed: true, recovered: false });
  }
}, 120_000);

test('who has the secret resumes the lease, and exec.wait tells what ended meanwhile and what still runs', async () => {
  const [agent] = await agents(1);
  if (agent === undefined) return;
  const { slot, client } = agent;
  const { resume, cast } = slot;
  const start = async (command: string): Promise<string> => (await slot.exec.start({ command, timeoutMs: 0 })).id;
  const before = await start('echo early; exit 3');
  await slot.exec.process(before).exit;
  const signaled = await start('until [ -e go ]; do sleep 0.05; done; echo last words; kill -USR1 $$');
  const exited = await start('until [ -e go ]; do sleep 0.05; done; echo out; echo err >&2; exit 7');
  const timedOut = (
    await slot.exec.start({ command: 'until [ -e go ]; do sleep 0.05; done; sleep 100', timeoutMs: 2500 })
  ).id;
  const running = await start('echo still; until [ -e stop ]; do sleep 0.05; done; exit 9');
  await slot.terminal.run({ command: 'cd /tmp; kept=yes' });
  await client.close();
  // Nobody of the gateway sees it: a command of the slot does it after the kill.
  const touch = await program.client();
  await (await touch.acquire({ resume })).exec.start({ command: 'sleep 0.7; touch go', timeoutMs: 0 });
  await program.end('SIGKILL');
  await new Promise((resolve) => setTimeout(resolve, 3500));
  await program.serve();
  const next = await program.client();
  const again = await next.acquire({ resume });
  expect([again.name, again.cast, again.resumed]).toEqual([slot.name, cast, true]);
  const wait = (id: string) => again.exec.process(id).wait({ timeoutMs: 0 });
  expect(await wait(before)).toMatchObject({ outcome: 'exited', exitCode: 3, stdout: 'early\n' });
  expect(await wait(signaled)).toMatchObject({ outcome: 'signaled', signal: 'USR1', stdout: 'last words\n' });
  expect(await wait(exited)).toMatchObject({ outcome: 'exited', exitCode: 7, stdout: 'out\n', stderr: 'err\n' });
  expect(await wait(timedOut)).toMatchObject({ outcome: 'timedOut', exitCode: null });
  expect(await wait(running)).toMatchObject({ outcome: 'running', stdout: 'still\n' });
  expect(await again.terminal.run({ command: 'echo $kept' })).toMatchObject({ output: 'yes\n', cwd: '/tmp' });
  await again.file.write({ path: 'stop', data: '' });
  expect(await again.exec.process(running).wait()).toMatchObject({ outcome: 'exited', exitCode: 9 });
  const { markers } = await next.cast.info(cast);
  const ends = new Map(markers.map(({ process, outcome, exitCode }) => [process, [outcome, exitCode]]));
  expect([ends.get(exited), ends.get(signaled)?.[0], ends.get(timedOut)?.[0]]).toEqual([
    ['exited', 7],
    'signaled',
    'timedOut',
  ]);
  // A secret that never was one opens nothing.
  await expect((await program.client()).acquire({ resume: `${resume}x` })).rejects.toMatchObject({
    fault: 'RESUME_GONE',
  });
}, 60_000);

test('a viewer goes on from the frame that it saw last, and none is missing', async () => {
  const [agent] = await agents(1);
  if (agent === undefined) return;
  const { slot } = agent;
  const printing = slot.terminal.run({ command: numbered('v', 900, 0.005), timeoutMs: 60_000 });
  const viewer = await program.client();
  const watch = await viewer.watch({ slot: slot.name });
  const frames: Frame[] = [];
  let last: number | null = null;
  const kinds: string[] = [];
  const seen = (): string => frames.map(([, code, data]) => (code === 'o' ? data : '')).join('');
  const following = (async () => {
    for await (const event of watch) {
      if (event.kind === 'end') continue;
      if (event.kind !== 'frames') {
        kinds.push(event.kind);
        last = event.seq;
        continue;
      }
      expect(event.seq).toBe((last ?? 0) + 1);
      last = event.seq + event.frames.length - 1;
      frames.push(...event.frames);
    }
  })();
  await until('it prints', () => numbersIn(seen(), 'v').length > 20);
  await program.end('SIGKILL');
  await program.serve();
  await printing;
  await until('all of it is seen', () => numbersIn(seen(), 'v').at(-1) === 900);
  expect(kinds).toEqual(['screen']);
  const numbers = numbersIn(seen(), 'v');
  expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, index) => (numbers[0] ?? 0) + index));
  // The times too go on.
  const times = frames.map(([time]) => time);
  expect(times).toEqual([...times].sort((a, b) => a - b));
  // A page that was away meanwhile asks by number.
  const late = await viewer.call('watch.start', { slot: slot.name, cast: slot.cast, since: 3 });
  expect([late.gap, late.screen, late.seq]).toEqual([undefined, '', 3]);
  await watch.close();
  await following;
}, 60_000);

test('a call that was sent when it died is done once, and one that cannot be repeated says so', async () => {
  const [agent] = await agents(1);
  if (agent === undefined) return;
  const { slot } = agent;
  const order = { command: 'echo run >>count; until [ -e go ]; do sleep 0.05; done; cat count; exit 5', key: 'once' };
  const first = slot.exec.run(order);
  await until('it runs', async () => (await slot.exec.list()).length === 1);
  const stopped = program.gateway;
  stopped.kill('SIGSTOP');
  // It takes this one and never answers.
  const lost = slot.file.write({ path: 'go', data: 'x' }).then(
    () => null,
    (error: unknown) => error,
  );
  stopped.kill('SIGKILL');
  await stopped.ended;
  await program.serve();
  expect(await lost).toBeInstanceOf(UnconfirmedError);
  const joined = slot.exec.run(order);
  await slot.file.write({ path: 'go', data: 'x' });
  const results = [await first, await joined, await slot.exec.run(order)];
  for (const result of results) expect(result).toMatchObject({ exitCode: 5, stdout: 'run\n' });
  expect(new Set(results.map(({ process }) => process)).size).toBe(1);
  await expect(slot.exec.run({ ...order, command: 'echo other' })).rejects.toMatchObject({ fault: 'KEY_CONFLICT' });
}, 60_000);

test('a terminal.run whose time was over is told as timed out, however it ended while the gateway was away', async () => {
  const [agent] = await agents(1);
  if (agent === undefined) return;
  const { slot } = agent;
  // The gateway dies while what it has interrupted is still ending, with an exit code of its own.
  const command = 'bash -c \'trap "touch stopping; sleep 1; exit 7" INT; trap "" QUIT; while :; do sleep 0.05; done\'';
  const run = slot.terminal.run({ command, timeoutMs: 300, key: 'late' });
  await until('it is interrupted', async () =>
    (await slot.file.list()).entries.some(({ path }) => path.endsWith('stopping')),
  );
  await program.end('SIGKILL');
  await program.serve();
  expect(await run).toMatchObject({ outcome: 'timedOut', exitCode: null });
  expect(await slot.terminal.run({ command: 'echo next' })).toMatchObject({ outcome: 'exited', output: 'next\n' });
}, 60_000);

test('a start that is sent again after the resume, and was done before, tells its output and its end once', async () => {
  const first = await program.client();
  const slot = await first.acquire();
  const { resume } = slot;
  const order = { command: 'echo begun; until [ -e go ]; do sleep 0.05; done; echo ended', stream: true, key: 'twice' };
  await slot.exec.start(order);
  await until('it printed', async () => (await slot.exec.list())[0]?.stdoutBytes === 6);
  await first.close();
  program.gateway.kill('SIGKILL');
  await program.gateway.ended;
  await program.serve();
  // One that has not heard of the command: its reply, and what was told of it, were lost.
  const other = await program.client();
  const told: string[] = [];
  other.on('exec.output', ({ data }) => void told.push(data));
  other.on('exec.exit', ({ outcome }) => void told.push(outcome));
  const taken = await other.acquire({ resume });
  await until('it is told by the resume', () => told.some((text) => text.includes('begun')));
  const again = await taken.exec.start(order);
  await taken.file.write({ path: 'go', data: '' });
  await again.exit;
  await other.call('server.info', {});
  expect(told.join('').split('\n')).toEqual(['begun', 'ended', 'exited']);
}, 60_000);

test('what twelve commands printed that ended while no gateway was there is told to the last byte', async () => {
  const [agent] = await agents(1);
  if (agent === undefined) return;
  const { slot } = agent;
  const bytes = 900_000;
  const command = `until [ -e go ]; do sleep 0.05; done; head -c ${bytes} /dev/zero | tr '\\0' a`;
  const runs = Array.from({ length: 12 }, (_, code) => slot.exec.run({ command: `${command}; exit ${code}` }));
  await until('all run', async () => (await slot.exec.list()).length === runs.length);
  // Nobody of the gateway sees it: a command of the slot does it after the kill.
  await slot.exec.start({ command: 'sleep 0.7; mkdir go' });
  await program.end('SIGKILL');
  await until('all have ended', () => !treeOf(program.keeper.pid).some((one) => commandOf(one).includes('[ -e go ]')));
  await program.serve();
  for (const [code, run] of runs.entries()) {
    const { stdout, exitCode, truncated } = await run;
    expect([exitCode, stdout.length, truncated]).toEqual([code, bytes, false]);
  }
}, 60_000);

test('what a write of a file that was cut short has left is cleared away', async () => {
  const slot = await (await program.client()).acquire();
  await slot.file.write({ path: 'whole', data: 'old' });
  const place = join(program.dataDir, 'slots', slot.name);
  const files = (): string[] =>
    readdirSync(place, { recursive: true, encoding: 'utf8' }).filter((name) =>
      statSync(join(place, name), { throwIfNoEntry: false })?.isFile(),
    );
  const before = files();
  // Half of it is sent: it is being written when the gateway dies.
  const half = new ReadableStream<Uint8Array>({ start: (stream) => stream.enqueue(new Uint8Array(65_536)) });
  const lost = slot.file.upload('whole', half).then(
    () => null,
    (error: unknown) => error,
  );
  await until('it is being written', () => files().length > before.length);
  await program.end('SIGKILL');
  expect(await lost).toBeInstanceOf(Error);
  await program.serve();
  expect(await slot.file.readText('whole')).toBe('old');
  await until('it is cleared away', () => files().length === before.length, 10_000);
}, 60_000);
