import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startProcess } from '../../../../server/keeper/process.ts';
import { Housing } from '../../../../server/keeper/sandbox/housing.ts';
import { DEFAULT_POLICY } from '../../../../server/keeper/sandbox/policy.ts';
import { ManualClock } from '../manual-clock.ts';
import { type Home, makeHome, order, text } from '../place-fixture.ts';
import { until } from '../until.ts';

let home: Home;
let clock: ManualClock;
let housing: Housing;

beforeEach(async () => {
  home = await makeHome();
  clock = new ManualClock();
  housing = new Housing({ dataDir: home.dataDir, policy: DEFAULT_POLICY, clock, failed: () => {} });
});
afterEach(async () => {
  await housing.stop();
  await home.remove();
});

const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);

/** First processes of standing sandboxes, below this process. */
function wardens(): number[] {
  return childrenOf(process.pid)
    .filter((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'bwrap\n')
    .flatMap(childrenOf);
}

/** First processes of cells whose runner waits or runs. */
const sandboxes = (): number[] => wardens().flatMap(childrenOf);

async function run(command: string) {
  const { sandbox } = await housing.sandbox(home.place, 'none');
  const child = await startProcess({ sandbox, order: order(command) });
  const end = await child.ended;
  return { ...end, stdout: text(child, 'stdout') };
}

/** Lets the pool do what it does a moment after a command. */
async function oneReady(): Promise<number> {
  clock.advance(10);
  // It has forked what becomes the payload.
  const pid = await until(() => sandboxes().find((first) => childrenOf(first).length === 1), 'one stands ready');
  const isWaiting = (): boolean => readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') S ');
  await until(isWaiting, 'it waits for its order');
  // What it has said of that is read.
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  return pid;
}

test('the second command finds its sandbox ready, and what it is told is as in one of its own', async () => {
  expect(await run('echo one >/tmp/kept; exit 3')).toMatchObject({ outcome: 'exited', exitCode: 3 });
  const ready = await oneReady();
  expect(await run('cat /tmp/kept; echo $$; pwd; ls -A; exit 4')).toMatchObject({
    exitCode: 4,
    stdout: 'one\n2\n/workspace\n',
  });
  expect(sandboxes()).not.toContain(ready);
  // Each is for one command.
  const next = await oneReady();
  expect(next).not.toBe(ready);
});

test('a slot that runs nothing for a while gives it up, and nothing of it is left', async () => {
  await run('true');
  await oneReady();
  clock.advance(60_000);
  await until(() => wardens().length === 0, 'it is given up');
  expect(await run('exit 5')).toMatchObject({ exitCode: 5 });
});

test('one that was killed while it waited costs no command', async () => {
  await run('true');
  process.kill(await oneReady(), 'SIGKILL');
  await until(() => sandboxes().length === 0, 'it is dead');
  expect(await run('exit 6')).toMatchObject({ outcome: 'exited', exitCode: 6 });
});

test('none outlives that its slot is emptied, or that its policy changes', async () => {
  await run('true');
  await oneReady();
  await housing.discard('slot_9');
  expect(sandboxes()).toHaveLength(1);
  await housing.discard(home.place.slot);
  expect(wardens()).toHaveLength(0);
  // One that is being started just then does not either.
  await run('true');
  clock.advance(10);
  await housing.discard();
  expect(wardens()).toHaveLength(0);
});

test('as many stand ready as began together, and never more than four', async () => {
  await Promise.all(Array.from({ length: 12 }, () => run('sleep 0.1')));
  clock.advance(10);
  await until(() => sandboxes().length === 4, 'four stand ready');
  const ended = await Promise.all(Array.from({ length: 12 }, (_, n) => run(`exit ${n}`)));
  expect(ended.map(({ exitCode }) => exitCode)).toEqual(Array.from({ length: 12 }, (_, n) => n));
});

test('a warden that was killed ends its commands, and the next command has another one', async () => {
  const { sandbox } = await housing.sandbox(home.place, 'none');
  const child = await startProcess({ sandbox, order: order('sleep 1008; exit 0') });
  const [killed = 0] = wardens();
  process.kill(killed, 'SIGKILL');
  expect(await child.ended).toMatchObject({ exitCode: null });
  expect(await run('exit 7')).toMatchObject({ outcome: 'exited', exitCode: 7 });
  expect(wardens()).not.toContain(killed);
});

test('slots have wardens of their own, also one slot for each network', async () => {
  housing.policy = { ...DEFAULT_POLICY, network: 'host' };
  const other = { ...home.place, slot: 'slot_9' };
  const given = [
    await housing.sandbox(home.place, 'none'),
    await housing.sandbox(home.place, 'host'),
    await housing.sandbox(other, 'none'),
  ];
  await Promise.all(given.map(({ sandbox }) => sandbox.ready));
  expect(wardens().map((pid) => childrenOf(pid).length)).toEqual([1, 1, 1]);
  for (const { sandbox } of given) sandbox.destroy();
  await Promise.all(given.map(({ sandbox }) => sandbox.closed));
});

test('where there can be no cells each command has a bwrap of its own', async () => {
  housing.cells = false;
  expect(await run('unshare -Ur true || exit 8')).toMatchObject({ outcome: 'exited', exitCode: 8 });
  clock.advance(10);
  await until(() => wardens().length === 1, 'the next one stands ready');
  expect(sandboxes()).toHaveLength(0);
  expect(await run('exit 9')).toMatchObject({ outcome: 'exited', exitCode: 9 });
});

test('more commands at once than a warden has cells all have one', async () => {
  const ended = await Promise.all(Array.from({ length: 40 }, (_, n) => run(`exit ${n}`)));
  expect(ended.map(({ exitCode }) => exitCode)).toEqual(Array.from({ length: 40 }, (_, n) => n));
});
