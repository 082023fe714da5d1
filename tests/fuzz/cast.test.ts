// The library over damaged recordings in a real directory: every look at them is a result of the promised shape or a fault that says so, soon.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CastError } from '../../protocol/asciicast.ts';
import { castMethods } from '../../protocol/cast.ts';
import { isCommandStart } from '../../protocol/command-mark.ts';
import { Fault } from '../../protocol/fault.ts';
import { exportFormats } from '../../server/cast/export.ts';
import { Library } from '../../server/cast/library.ts';
import { recoverCasts } from '../../server/keeper/recovery.ts';
import { castText, type Event, longSession } from '../unit/cast/shelf.ts';
import { asked, timeout } from './fuzz.ts';
import { damage, oddText } from './mutation.ts';

/** Far more than any of it takes on a busy machine, far less than an endless loop. */
const BOUND_MS = 20_000;
const KEY = 'k=abc';
const RUN: Event[] = [
  [100, 'm', 'r1 $ make'],
  [101, 'o', `x 1&&:;\r\n\x1b]133;C;${KEY}\x07\x1b[1A\r\x1b[J~ $ make\r\n\x1b]133;C;r=1;${KEY}\x07out\r\n`],
  [103, 'r', '60x15'],
  [104, 'i', 'x'],
  [105, 'o', `é😀\x1b[31mred\x1b[m\x1b]133;D;0;cwd=/workspace;${KEY}\x07`],
  [106, 'm', 'r1 exited 0 5ms'],
  [40_000, 'm', 'p2 $ sleep 1'],
  [41_000, 'o', 'late'],
  [41_001, 'm', 'p2 signaled KILL 1000ms'],
  [41_002, 'x', '0'],
];
const SHORT = Buffer.from(castText({ cast: 'cast_short', label: 'é' }, RUN));
const OPEN = Buffer.from(castText({ cast: 'cast_open', sealed: false }, RUN));
const LONG = Buffer.from(castText({ cast: 'cast_long' }, longSession(200)));
const DIGEST = Buffer.from(JSON.stringify({ version: 1, bytes: SHORT.length, failed: 1, text: 'make\nsleep 1' }));
const seeds = [SHORT, OPEN, LONG];

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'slotcast-casts-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const EXPECTED = new Set(['CAST_NOT_FOUND', 'CAST_DAMAGED', 'PROCESS_NOT_FOUND']);

/** The result, or null for a fault of those that are promised. */
async function looked<T>(look: Promise<T>): Promise<T | null> {
  try {
    return await look;
  } catch (error) {
    if (!(error instanceof Fault) || !EXPECTED.has(error.fault)) throw error;
    expect(error.message).not.toContain(dir);
    if (error.fault === 'CAST_DAMAGED') expect(error.detail).toEqual({ line: expect.any(Number) });
    return null;
  }
}

/** All that can be asked of one recording. */
async function lookAtAll(library: Library, cast: string): Promise<void> {
  const shape = <M extends keyof typeof castMethods>(method: M, result: unknown): void => {
    const parsed = castMethods[method].result.safeParse(JSON.parse(JSON.stringify(result)));
    expect(parsed.error?.issues, `${method}: ${JSON.stringify(result)?.slice(0, 500)}`).toBeUndefined();
  };
  const info = await looked(library.info(cast));
  if (info !== null) shape('cast.info', info);
  for (const time of [0, 0.104, 41, 1e9]) {
    const screen = await looked(library.seek(cast, time, true));
    if (screen !== null) shape('cast.seek', screen);
  }
  for (const [from, to] of [
    [0, 1],
    [0.1, 1e12],
    [50, 0],
  ] as const) {
    const frames = await looked(library.read(cast, from, to));
    if (frames !== null) shape('cast.read', frames);
  }
  const index = await looked(library.segmentIndex(cast));
  for (const number of [0, 1, 99]) await looked(library.segment(cast, number));
  if (index !== null)
    expect(index.segments.map(({ start }) => start)).toEqual(
      index.segments.map(({ start }) => start).sort((a, b) => a - b),
    );
  for (const process of ['r1', 'p2']) {
    const marker = await looked(library.command(cast, process));
    if (marker !== null) await looked(library.output(cast, marker, 1000));
  }
  await looked(library.slotOf(cast));
  for (const format of exportFormats) await exported(library, cast, format);
}

async function exported(library: Library, cast: string, format: (typeof exportFormats)[number]): Promise<void> {
  const found = await looked(library.export(cast, format));
  try {
    let bytes = 0;
    for await (const piece of found?.stream() ?? []) bytes += Buffer.byteLength(piece);
    if (found?.bytes != null) expect(bytes).toBe(found.bytes);
  } catch (error) {
    if (!(error instanceof CastError)) throw error;
  }
}

async function within<T>(work: Promise<T>): Promise<T> {
  const startMs = performance.now();
  const result = await work;
  expect(performance.now() - startMs).toBeLessThan(BOUND_MS);
  return result;
}

const damagedCast = fc.tuple(fc.constantFrom(...seeds), damage(seeds)).map(([seed, change]) => change(seed));
const sidecar = fc.oneof(
  damage([DIGEST]).map((change) => change(DIGEST)),
  fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
  fc
    .tuple(oddText, fc.jsonValue())
    .map(([name, value]) => Buffer.from(JSON.stringify({ ...JSON.parse(String(DIGEST)), [name]: value }))),
);

test('a damaged recording, with a damaged digest beside it, gives results of the right shape or the fault that says so', {
  timeout,
}, async () => {
  await fc.assert(
    fc.asyncProperty(damagedCast, sidecar, async (bytes, beside) => {
      writeFileSync(join(dir, 'cast_a.cast'), bytes);
      writeFileSync(join(dir, 'cast_a.digest'), beside);
      writeFileSync(join(dir, 'cast_sound.cast'), SHORT);
      const library = new Library({ dir, live: () => null });
      await within(lookAtAll(library, 'cast_a'));
      // One bad recording does not take the others from the list.
      for (const search of [undefined, 'make']) {
        const casts = await within(library.list({ limit: 10, search }));
        const parsed = castMethods['cast.list'].result.safeParse(JSON.parse(JSON.stringify({ casts })));
        expect(parsed.error?.issues, JSON.stringify(casts)).toBeUndefined();
        expect(casts.map(({ cast }) => cast)).toContain('cast_sound');
      }
      await library.close();
    }),
    asked(60),
  );
});

test('a recording that is cut, grows or changes while it is looked at gives results or the fault that says so', {
  timeout,
}, async () => {
  const path = join(dir, 'cast_a.cast');
  await fc.assert(
    fc.asyncProperty(fc.array(damagedCast, { minLength: 2, maxLength: 4 }), async (versions) => {
      const library = new Library({ dir, live: () => null });
      for (const bytes of versions) {
        writeFileSync(path, bytes);
        await within(looked(library.info('cast_a')));
        await within(looked(library.seek('cast_a', 0.104)));
        await within(looked(library.segment('cast_a', 0)));
        await within(looked(library.read('cast_a', 0, 1)));
        writeFileSync(path, bytes.subarray(0, bytes.length >> 1));
        await within(looked(library.read('cast_a', 0, 1)));
      }
      await library.close();
    }),
    asked(30),
  );
});

test('after a crash every damaged recording is recovered or set aside, and what is recovered is sound', {
  timeout,
}, async () => {
  await fc.assert(
    fc.asyncProperty(damagedCast, async (bytes) => {
      const path = join(dir, 'cast_a.cast');
      writeFileSync(path, bytes);
      const failed: unknown[] = [];
      const found = await recoverCasts(dir, { isCommand: isCommandStart, failed: (error) => void failed.push(error) });
      expect(failed).toEqual([]);
      const library = new Library({ dir, live: () => null });
      if (found.get('cast_a.cast') === 'recovered') await library.info('cast_a');
      await library.close();
    }),
    asked(60),
  );
});
