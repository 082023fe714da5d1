// What happens in a slot whose recording the disk does not take: under strict nothing runs unrecorded, under best-effort everything goes on.
import { afterEach, expect, type TestContext, test } from 'vitest';
import { castPath } from '../../../server/keeper/cast-place.ts';
import type { FrameLog } from '../../../server/keeper/frame-log.ts';
import type { ProcessOrder } from '../../../server/keeper/keeper.ts';
import { LocalKeeper } from '../../../server/keeper/local-keeper.ts';
import { type SmallDisk, smallDisk } from '../../support/small-disk.ts';
import { eventsOf, readCast } from './scratch.ts';
import { until } from './until.ts';
import { verdictOn } from './verdict.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

const order = (command: string): ProcessOrder => ({
  ...{ run: { command }, cwd: '/workspace', env: {}, input: null, stdin: 'closed' },
  ...{ timeoutMs: 0, idleTimeoutMs: 0, maxOutputBytes: 1000 },
});

/** A slot in which a command and a terminal run. */
async function session(context: TestContext, record: 'strict' | 'best-effort') {
  const disk = smallDisk(context, 4);
  const problems: string[] = [];
  const keeper = await LocalKeeper.open({
    dataDir: disk.path,
    policy: { sandbox: 'bwrap', mounts: [], network: 'none' },
    disk: { diskBytes: 0, files: 0, minFreeBytes: 0 },
    record,
    log: { error: (_detail, message) => void problems.push(message) },
  });
  closers.push(() => keeper.close());
  const place = await keeper.preparePlace('slot_0');
  const log = await keeper.openLog({ cast: 'cast_1', slot: 'slot_0', label: null, cols: 80, rows: 24 });
  const start = (command: string) => keeper.startProcess({ place, network: 'none', order: order(command) });
  const child = await start('sleep 1000');
  const spec = { place, network: 'none', cast: 'cast_1', cols: 80, rows: 24, env: {} } as const;
  const terminal = await keeper.startTerminal({ ...spec, argv: ['cat'] });
  return { disk, keeper, log, start, child, terminal, problems, path: castPath(disk.path, 'cast_1') };
}

/** What is printed now is in no file. */
async function fillUp(disk: SmallDisk, log: FrameLog, keeper: LocalKeeper): Promise<void> {
  disk.fill();
  log.append('o', 'x'.repeat(8000));
  await until(() => keeper.recording().failing === 1, 'the recording fails');
}

const STOPPED = "stopped: the recording can't be written, and nothing is to run unrecorded";

test('strict: what runs is stopped, nothing is started, and all goes on when there is room again', async (context) => {
  const { disk, keeper, log, start, child, terminal, problems, path } = await session(context, 'strict');
  const markers: string[] = [];
  log.listen((frame) => {
    if (frame?.code === 'm') markers.push(frame.data);
  });
  await fillUp(disk, log, keeper);
  expect(await child.ended).toMatchObject({ outcome: 'signaled', signal: 'KILL', limit: 'disk' });
  await terminal.ended;
  expect(await terminal.struck()).toBe('disk');
  expect(markers).toContain(STOPPED);
  await expect(start('true')).rejects.toMatchObject({ fault: 'NO_SPACE' });
  // Another slot is recorded as before.
  const other = await keeper.preparePlace('slot_1');
  const free = await keeper.startProcess({ place: other, network: 'none', order: order('exit 3') });
  expect(await free.ended).toMatchObject({ exitCode: 3 });
  disk.free();
  await until(() => keeper.recording().failing === 0, 'it is written again');
  expect(await (await start('exit 4')).ended).toMatchObject({ outcome: 'exited', exitCode: 4 });
  expect(keeper.recording().lostFrames).toBeGreaterThan(1);
  await keeper.closeLog('cast_1');
  expect(keeper.recording().lostFrames).toBeGreaterThan(1);
  const recorded = eventsOf(await readCast(path)).filter(([code]) => code === 'm');
  expect(recorded).toEqual([
    ['m', expect.stringMatching(/^\d+ frames are missing here: the recording could not be written$/)],
    ['m', STOPPED],
  ]);
  expect(verdictOn(path)).toMatchObject({ ok: true });
  expect(problems).toEqual([
    'the recording cast_1 could not be written',
    'the recording cast_1 is written again; frames are missing in it',
  ]);
});

test('best-effort: what runs goes on, and more can be started', async (context) => {
  const { disk, keeper, log, start, child, problems } = await session(context, 'best-effort');
  await fillUp(disk, log, keeper);
  expect(await (await start('exit 4')).ended).toMatchObject({ outcome: 'exited', exitCode: 4 });
  expect(child.end).toBeNull();
  expect(keeper.recording()).toEqual({ failing: 1, lostFrames: 1 });
  expect(problems).toEqual(['the recording cast_1 could not be written']);
});

test('strict: what was on its way when the recording began to fail is stopped too', async (context) => {
  const { disk, keeper, log, start } = await session(context, 'strict');
  disk.fill();
  log.append('o', 'x'.repeat(8000));
  const begun = await Promise.allSettled(Array.from({ length: 8 }, () => start('sleep 1000')));
  await until(() => keeper.recording().failing === 1, 'the recording fails');
  const refused = begun.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  for (const reason of refused) expect(reason).toMatchObject({ fault: 'NO_SPACE' });
  const ended = begun.flatMap((one) => (one.status === 'fulfilled' ? [one.value.ended] : []));
  for (const end of await Promise.all(ended)) expect(end).toMatchObject({ limit: 'disk' });
});
