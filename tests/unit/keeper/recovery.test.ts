import { readFileSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { FrameLog } from '../../../server/keeper/frame-log.ts';
import { Recorder } from '../../../server/keeper/recorder.ts';
import { recoverCast, recoverCasts, UNSEALED_LABEL } from '../../../server/keeper/recovery.ts';
import { ManualClock } from './manual-clock.ts';
import { eventsOf, readCast, scratch } from './scratch.ts';
import { verdictOn } from './verdict.ts';

const isCommand = (label: string): boolean => label.startsWith('$ ');
const options = { isCommand };
let recording: Buffer;

beforeAll(async () => {
  recording = await record();
});

/** A real recording with each kind of frame, and text in which a cut can part a character. */
async function record(): Promise<Buffer> {
  const clock = new ManualClock();
  const path = join(await scratch(), 'whole.cast');
  const log = new FrameLog({ cast: 'cast_1', cols: 80, rows: 24, now: () => clock.now() });
  const slotcast = { cast: 'cast_1', slot: 'slot_0', label: 'é', startedAt: 1 };
  const recorder = await Recorder.open({
    log,
    path,
    header: { version: 3, cols: 80, rows: 24, title: 'é😀', slotcast },
    clock,
    recordInput: true,
    isCommand,
    failed: (error) => {
      throw error;
    },
  });
  const frames = [
    ['o', '$ é→😀\r\n'],
    ['m', '$ make'],
    ['r', '100x30'],
    ['i', 'x\u0003'],
    ['m', 'done'],
    ['o', '"quotes" \\ \u001b[0m'],
    ['x', '0'],
  ] as const;
  for (const [code, data] of frames) {
    clock.advance(100);
    log.append(code, data);
  }
  log.close();
  await recorder.close();
  return await readFile(path);
}

test('a recording cut at any byte is made whole: every frame whose line is there, a marker, a seal', async () => {
  const directory = await scratch();
  const lines = recording.toString('utf8').split('\n');
  const headerEnd = recording.indexOf(10) + 1;
  const sealStart = recording.indexOf('# slotcast end');
  for (let length = 0; length < recording.length; length++) {
    const path = join(directory, `${length}.cast`);
    writeFileSync(path, recording.subarray(0, length));
    const recovery = await recoverCast(path, options);
    if (length < headerEnd) {
      expect(recovery).toBe('damaged');
      expect(readFileSync(`${path}.damaged`)).toEqual(recording.subarray(0, length));
      continue;
    }
    expect(recovery).toBe('recovered');
    const items = await readCast(path);
    const text = readFileSync(path, 'utf8');
    if (length === recording.length - 1) {
      expect(text).toBe(recording.toString('utf8'));
      continue;
    }
    const sound = recording.subarray(0, Math.min(length, sealStart)).toString('latin1').split('\n').slice(0, -1);
    const whole = sound.filter((line) => line.startsWith('[')).length;
    expect(text.split('\n').slice(0, sound.length)).toEqual(lines.slice(0, sound.length));
    expect(eventsOf(items).at(-1)).toEqual(['m', UNSEALED_LABEL]);
    const commands = whole >= 2 ? 1 : 0;
    const last = items.filter((item) => item.kind === 'event').at(-1);
    expect(last).toMatchObject({ timeMs: whole * 100, seq: whole + 1 });
    expect(items.at(-1)).toMatchObject({ kind: 'seal', seal: { duration: whole / 10, frames: whole + 1, commands } });
    expect(await recoverCast(path, options)).toBe('sealed');
    // Cut right behind the header and its link, or before, too: there is nothing that an older version wrote.
    expect(verdictOn(path)).toMatchObject({ ok: true, recovered: true });
  }
});

test('a recording that an older version left open is sealed without a chain', async () => {
  const path = join(await scratch(), 'old.cast');
  const lines = recording.toString('utf8').split('\n');
  writeFileSync(path, lines.filter((line) => !line.startsWith('#')).join('\n'));
  expect(await recoverCast(path, options)).toBe('recovered');
  expect(verdictOn(path)).toMatchObject({ sealed: true, chained: false, ok: false, recovered: true });
});

test('what was changed before a crash is found after the recovery too', async () => {
  const path = join(await scratch(), 'changed.cast');
  const text = recording.toString('utf8').replace('$ make', '$ rake');
  writeFileSync(path, text.slice(0, text.indexOf('# slotcast end')));
  expect(await recoverCast(path, options)).toBe('recovered');
  const line = text.split('\n').findIndex((one) => one.includes('$ rake')) + 1;
  expect(verdictOn(path)).toMatchObject({ sealed: true, ok: false, line });
});

test('a recovery that was itself cut at any byte is finished with one marker', async () => {
  const directory = await scratch();
  const path = join(directory, 'first.cast');
  writeFileSync(path, recording.subarray(0, recording.indexOf('# slotcast end') - 5));
  await recoverCast(path, options);
  const recovered = readFileSync(path);
  for (let length = recovered.indexOf('[0.000'); length < recovered.length; length++) {
    const again = join(directory, `${length}.cast`);
    writeFileSync(again, recovered.subarray(0, length));
    await recoverCast(again, options);
    expect(readFileSync(again, 'utf8')).toBe(recovered.toString('utf8'));
  }
});

test('a sealed recording is left as it is', async () => {
  const path = join(await scratch(), 'sealed.cast');
  writeFileSync(path, recording);
  expect(await recoverCast(path, options)).toBe('sealed');
  expect(readFileSync(path)).toEqual(recording);
});

test('zeros that a power cut left at the end are cut off', async () => {
  const path = join(await scratch(), 'zeros.cast');
  const sound = recording.subarray(0, recording.indexOf('# slotcast end'));
  writeFileSync(path, Buffer.concat([sound, Buffer.alloc(5000)]));
  expect(await recoverCast(path, options)).toBe('recovered');
  expect(await readCast(path)).toHaveLength(1 + 7 + 1 + 1);
});

test('a recording that is broken in the middle is cut there, and what was found stays beside it', async () => {
  const path = join(await scratch(), 'broken.cast');
  const text = recording.toString('utf8').split('\n');
  text[text.findIndex((line) => line.includes('done'))] = 'nonsense';
  text.splice(-2, 1);
  writeFileSync(path, text.join('\n'));
  expect(await recoverCast(path, options)).toBe('recovered');
  expect(eventsOf(await readCast(path))).toHaveLength(5);
  expect(readFileSync(`${path}.damaged`, 'utf8')).toBe(text.join('\n'));
});

test('a directory is recovered file by file; one that cannot be does not stop the others', async () => {
  const directory = await scratch();
  writeFileSync(join(directory, 'a.cast'), recording);
  writeFileSync(join(directory, 'b.cast'), recording.subarray(0, recording.length - 30));
  writeFileSync(join(directory, 'c.cast'), 'no recording');
  writeFileSync(join(directory, 'd.txt'), 'something else');
  await mkdir(join(directory, 'e.cast'));
  const failed: string[] = [];
  const found = await recoverCasts(directory, { isCommand, failed: (_, file) => void failed.push(file) });
  expect([...found]).toEqual([
    ['a.cast', 'sealed'],
    ['b.cast', 'recovered'],
    ['c.cast', 'damaged'],
  ]);
  expect(failed).toEqual(['e.cast']);
  expect((await readdir(directory)).sort()).toEqual(['a.cast', 'b.cast', 'c.cast.damaged', 'd.txt', 'e.cast']);
});
