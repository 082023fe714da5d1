import { readdirSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { CastDecoder, type CastHeader } from '../../../protocol/asciicast.ts';
import type { Clock } from '../../../server/keeper/clock.ts';
import { systemClock } from '../../../server/keeper/clock.ts';
import { FrameLog } from '../../../server/keeper/frame-log.ts';
import { RETRY_MS, Recorder, type RecorderOptions } from '../../../server/keeper/recorder.ts';
import { smallDisk } from '../../support/small-disk.ts';
import { ManualClock } from './manual-clock.ts';
import { eventsOf, outputOf, readCast, scratch } from './scratch.ts';
import { until } from './until.ts';
import { verdictOn } from './verdict.ts';

const header: CastHeader = { version: 3, cols: 80, rows: 24 };
const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function record(
  clock: Clock,
  options: Partial<RecorderOptions> & { directory?: string; ringBytes?: number } = {},
) {
  const path = join(options.directory ?? (await scratch()), 'one.cast');
  const { ringBytes } = options;
  const log = new FrameLog({
    cast: 'cast_1',
    cols: 80,
    rows: 24,
    now: clock.now.bind(clock),
    ...(ringBytes === undefined ? {} : { ringBytes }),
  });
  const failures: unknown[] = [];
  const recorder = await Recorder.open({
    log,
    path,
    header,
    clock,
    recordInput: false,
    isCommand: (label) => label.startsWith('$ '),
    failed: (error) => void failures.push(error),
    ...options,
  });
  closers.push(() => recorder.close());
  return { path, log, recorder, failures };
}

const written = async (path: string): Promise<[string, string][]> => eventsOf(await readCast(path));

test('the file is there from the start, for its owner alone, and is not begun twice', async () => {
  const { path } = await record(systemClock);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readCast(path)).toMatchObject([{ kind: 'header', header }]);
  const directory = join(path, '..');
  await expect(record(systemClock, { directory })).rejects.toMatchObject({ code: 'EEXIST' });
});

test('a frame is in the file within a moment, without the end of the recording', async () => {
  const { path, log } = await record(systemClock);
  log.append('o', 'hello');
  await until(async () => (await written(path)).length === 1, 'the frame is written', 1000);
});

test('frames of a moment are written together, a marker with what comes in the next 5 ms', async () => {
  const clock = new ManualClock();
  const { path, log } = await record(clock);
  for (let count = 0; count < 100; count++) {
    log.append('o', `${count}`);
    clock.advance(0.4);
  }
  expect(await written(path)).toHaveLength(0);
  log.append('m', '$ make');
  clock.advance(4);
  log.append('m', 'made');
  expect(await written(path)).toHaveLength(0);
  clock.advance(1);
  await until(async () => (await written(path)).length === 102, 'the markers and what was before them');
});

test('a flush ends though frames keep coming, with everything up to its call in the file', async () => {
  const { path, log, recorder } = await record(systemClock);
  for (let count = 0; count < 20; count++) log.append('o', 'x'.repeat(50_000));
  log.append('o', 'last');
  const flushed = recorder.flush();
  const flood = setInterval(() => log.append('o', 'y'.repeat(50_000)), 1);
  closers.push(() => clearInterval(flood));
  await flushed;
  expect(await written(path)).toContainEqual(['o', 'last']);
  clearInterval(flood);
  await recorder.close();
  await recorder.flush();
});

test('closing while flushes are under way writes each frame once', async () => {
  for (let attempt = 0; attempt < 20; attempt++) {
    const { path, log, recorder } = await record(systemClock);
    const data = Array.from({ length: 40 }, (_, index) => `${index} ${'x'.repeat(20_000)}`);
    for (const text of data.slice(0, 20)) log.append('o', text);
    const flushes = [recorder.flush(), recorder.flush()];
    for (const text of data.slice(20)) log.append('o', text);
    await Promise.all([...flushes, recorder.flush(), recorder.close(), recorder.flush()]);
    expect(outputOf(await readCast(path))).toBe(data.join(''));
  }
});

test('the seal says how long, how many frames and commands', async () => {
  const clock = new ManualClock();
  const { path, log, recorder } = await record(clock);
  log.append('m', '$ make');
  clock.advance(1500);
  log.append('o', 'x');
  clock.advance(750.4);
  log.append('m', 'slot reset');
  log.close();
  await recorder.close();
  const items = await readCast(path);
  expect(items.at(-1)).toMatchObject({ kind: 'seal', seal: { duration: 2.25, frames: 3, commands: 1 } });
  expect(items.filter((item) => item.kind === 'event').map((item) => item.timeMs)).toEqual([0, 1500, 2250]);
});

test('every batch is chained: at each moment nothing but the seal is missing, and no line is very long', async () => {
  const { path, log, recorder } = await record(systemClock);
  expect(verdictOn(path)).toMatchObject({ chained: true, sealed: false, lines: 2 });
  for (let count = 0; count < 50_000; count++) log.append('o', '.');
  await recorder.flush();
  const { reason, lines } = verdictOn(path);
  expect(reason).toBe(`it ends after line ${lines} without its seal`);
  log.close();
  await recorder.close();
  expect(verdictOn(path)).toMatchObject({ ok: true, recovered: false });
  const longest = Math.max(...(await readFile(path, 'utf8')).split('\n').map((line) => line.length));
  expect(longest).toBeGreaterThan(1000);
  expect(longest).toBeLessThan(20_000);
});

test('closing twice seals once', async () => {
  const { path, recorder } = await record(systemClock);
  await Promise.all([recorder.close(), recorder.close()]);
  await recorder.close();
  expect((await readFile(path, 'utf8')).match(/# slotcast end/g)).toHaveLength(1);
});

test('what is typed is recorded only if wanted', async () => {
  for (const recordInput of [false, true]) {
    const { path, log, recorder } = await record(systemClock, { recordInput });
    log.append('i', 'secret');
    await recorder.close();
    expect((await readFile(path, 'utf8')).includes('secret')).toBe(recordInput);
  }
});

test('no frame is lost that the log has evicted before it was written', async () => {
  const { path, log, recorder } = await record(systemClock, { ringBytes: 1000 });
  const data = Array.from({ length: 300 }, (_, index) => `${index} ${'x'.repeat(10_000)}`);
  for (const text of data) log.append('o', text);
  expect(log.firstSeq).toBe(300);
  await recorder.close();
  expect(outputOf(await readCast(path))).toBe(data.join(''));
});

test('what prints faster than the disk takes it is paused above 1 MiB and goes on below 256 KiB', async () => {
  const { log, recorder } = await record(systemClock);
  const calls: string[] = [];
  const source = { pause: () => void calls.push('pause'), resume: () => void calls.push('resume') };
  recorder.pace(source);
  for (let count = 0; count < 15; count++) log.append('o', 'x'.repeat(64 * 1024));
  expect(calls).toEqual([]);
  for (let count = 0; count < 3; count++) log.append('o', 'x'.repeat(64 * 1024));
  expect(calls).toEqual(['pause']);
  const late: string[] = [];
  recorder.pace({ pause: () => void late.push('pause'), resume: () => void late.push('resume') });
  expect(late).toEqual(['pause']);
  await until(() => calls.length === 2, 'the source goes on');
  expect(recorder.lag).toBeLessThan(256 * 1024);
  expect([calls, late]).toEqual([
    ['pause', 'resume'],
    ['pause', 'resume'],
  ]);
});

test('on a full disk the slot goes on; with room again the recording says what is missing', async (context) => {
  const disk = smallDisk(context, 1);
  const clock = new ManualClock();
  const { path, log, recorder, failures } = await record(clock, { directory: disk.path });
  log.append('o', 'before');
  await recorder.flush();
  disk.fill();
  const big = 'x'.repeat(8000);
  log.append('o', `lost 2 ${big}`);
  await recorder.flush();
  expect([recorder.failing, recorder.lostFrames, recorder.lag]).toEqual([true, 1, 0]);
  log.append('o', `lost 3 ${big}`);
  await recorder.flush();
  disk.free();
  log.append('o', 'after');
  await recorder.flush();
  expect([recorder.failing, recorder.lostFrames]).toEqual([false, 2]);
  await recorder.close();
  const items = await readCast(path);
  expect(items.slice(1, -1)).toMatchObject([
    { kind: 'event', seq: 1, data: 'before' },
    { kind: 'gap', gap: { from: 2, to: 3 } },
    { kind: 'event', seq: 4, data: 'after' },
    { kind: 'event', seq: 5, code: 'm', data: '2 frames are missing here: the recording could not be written' },
  ]);
  expect(items.at(-1)).toMatchObject({ kind: 'seal', seal: { frames: 3 } });
  expect(failures).toMatchObject([{ code: 'ENOSPC' }]);
  expect(verdictOn(path)).toMatchObject({ ok: true });
});

test('a slot in which nothing is printed any more finds out too that the disk has room again', async (context) => {
  const disk = smallDisk(context, 1);
  const clock = new ManualClock();
  const recovered: unknown[] = [];
  const options = { directory: disk.path, recovered: (missing: unknown) => void recovered.push(missing) };
  const { path, log, recorder, failures } = await record(clock, options);
  disk.fill();
  // The file's last page takes some more.
  for (; !recorder.failing; await recorder.flush()) log.append('o', '.');
  const { lastSeq } = log;
  for (let tries = 0; tries < 3; tries++) {
    clock.advance(RETRY_MS);
    await recorder.flush();
    log.append('o', 'y'.repeat(8000));
    await recorder.flush();
  }
  expect([recorder.failing, recorder.lostFrames]).toEqual([true, 4]);
  disk.free();
  clock.advance(RETRY_MS - 1);
  await recorder.flush();
  expect(recorder.failing).toBe(true);
  clock.advance(1);
  await until(() => !recorder.failing, 'it is written again');
  expect(recovered).toEqual([{ from: lastSeq, to: lastSeq + 3, frames: 4 }]);
  expect(failures).toHaveLength(1);
  clock.advance(10 * RETRY_MS);
  await recorder.close();
  expect((await readCast(path)).slice(-3, -1)).toMatchObject([
    { kind: 'gap', gap: { from: lastSeq, to: lastSeq + 3 } },
    {
      kind: 'event',
      seq: lastSeq + 4,
      code: 'm',
      data: '4 frames are missing here: the recording could not be written',
    },
  ]);
  expect(verdictOn(path)).toMatchObject({ ok: true });
});

test('a recording that can not be begun on a full disk leaves no file', async (context) => {
  const disk = smallDisk(context, 1);
  disk.fill();
  const big = { ...header, title: 'x'.repeat(8000) };
  await expect(record(systemClock, { directory: disk.path, header: big })).rejects.toMatchObject({ code: 'ENOSPC' });
  expect(readdirSync(disk.path)).toEqual(['ballast']);
});

test('a recording that ends on a full disk has whole lines only', async (context) => {
  const directory = smallDisk(context, 1).path;
  const { path, log, recorder } = await record(systemClock, { directory });
  for (let count = 0; count < 40; count++) log.append('o', 'y'.repeat(60_000));
  log.close();
  await recorder.close();
  const bytes = await readFile(path);
  expect(bytes.at(-1)).toBe(10);
  expect(() => [...new CastDecoder().decode(bytes)]).not.toThrow();
});
