// Which recordings go and which stay, on real files; and that whoever reads one that goes is no worse off than told.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { Library } from '../../../server/cast/library.ts';
import { due, type KeepRule, Retention, type StoredCast } from '../../../server/cast/retention.ts';
import { type CastText, castText, closedAfterwards, directory, type Event } from './shelf.ts';

const DAY_MS = 86_400_000;
const EVENTS: Event[] = [
  [0, 'm', 'p1 $ make'],
  [1000, 'o', 'hello\r\n'],
];

interface Given extends CastText {
  readonly agedMs: number;
  readonly bytes?: number;
}

/** A directory with these, and a library that keeps by this rule. */
async function given(keep: KeepRule, casts: readonly Given[], live: readonly string[] = []) {
  const dir = await directory();
  for (const { agedMs, bytes = 0, ...about } of casts) {
    const text = castText({ ...about, startedAt: Date.now() - agedMs }, [...EVENTS, [1000, 'o', 'x'.repeat(bytes)]]);
    writeFileSync(join(dir, `${about.cast}.cast`), text);
  }
  const problems: unknown[] = [];
  const removed: string[] = [];
  const library = new Library({
    dir,
    keep,
    live: (cast) => (live.includes(cast) ? { durationMs: 1000 } : null),
    log: {
      info: (detail) => void removed.push((detail as StoredCast).cast),
      error: (...problem) => void problems.push(problem),
    },
  });
  closedAfterwards(library);
  const names = (): string[] =>
    readdirSync(dir)
      .filter((name) => name.endsWith('.cast'))
      .map((name) => name.slice(0, -'.cast'.length))
      .sort();
  return { dir, library, names, removed, problems };
}

const settled = async (names: () => string[], wanted: readonly string[]): Promise<void> =>
  await expect.poll(names, { timeout: 20_000 }).toEqual(wanted);

test('those that ended before the age go at the start, with all that is kept beside them', async () => {
  const { dir, library, names, removed, problems } = await given({ maxAgeMs: 14 * DAY_MS, maxBytes: null }, [
    { cast: 'cast_old', agedMs: 15 * DAY_MS },
    { cast: 'cast_new', agedMs: 13 * DAY_MS },
  ]);
  for (const ending of ['digest', 'screens', 'cast.damaged']) writeFileSync(join(dir, `cast_old.${ending}`), '{}');
  for (const name of ['other.txt', 'cast_old.txt', 'cast_unread.cast.damaged']) writeFileSync(join(dir, name), 'x');
  library.catchUp();
  await settled(names, ['cast_new']);
  await library.close();
  expect(readdirSync(dir).sort()).toEqual([
    'cast_new.cast',
    'cast_new.digest',
    'cast_old.txt',
    'cast_unread.cast.damaged',
    'other.txt',
  ]);
  expect(removed).toEqual(['cast_old']);
  expect(problems).toEqual([]);
  expect((await library.list({ limit: 9 })).map(({ cast }) => cast)).toEqual(['cast_new']);
});

test('of more than the size the oldest go until the rest fits', async () => {
  const casts = [1, 2, 3, 4, 5].map((n) => ({ cast: `cast_${n}`, agedMs: n * DAY_MS, bytes: 100_000 }));
  const { library, names, removed } = await given({ maxAgeMs: null, maxBytes: 310_000 }, casts);
  library.catchUp();
  await settled(names, ['cast_1', 'cast_2', 'cast_3']);
  await expect.poll(() => removed).toEqual(['cast_5', 'cast_4']);
});

test('one that is recorded, pinned, without its seal or no recording stays, however old and large', async () => {
  const agedMs = 100 * DAY_MS;
  const { dir, library, names } = await given(
    { maxAgeMs: DAY_MS, maxBytes: 1 },
    [
      { cast: 'cast_gone', agedMs },
      { cast: 'cast_live', agedMs },
      { cast: 'cast_pinned', agedMs },
      { cast: 'cast_open', agedMs, sealed: false },
    ],
    ['cast_live'],
  );
  writeFileSync(join(dir, 'cast_strange.cast'), 'no recording at all\n');
  await library.pin('cast_pinned', true);
  library.catchUp();
  const stay = ['cast_live', 'cast_open', 'cast_pinned', 'cast_strange'];
  await settled(names, stay);
  await library.pin('cast_pinned', false);
  library.sealed('cast_other');
  await settled(
    names,
    stay.filter((cast) => cast !== 'cast_pinned'),
  );
});

test('a pin is an empty file beside the recording, shown in list and info, and kept by a new start', async () => {
  const { dir, library } = await given({ maxAgeMs: null, maxBytes: null }, [{ cast: 'cast_1', agedMs: 0 }]);
  const shown = async (by: Library) => [(await by.list({ limit: 9 }))[0]?.pinned, (await by.info('cast_1')).pinned];
  expect(await shown(library)).toEqual([false, false]);
  await Promise.all([library.pin('cast_1', true), library.pin('cast_1', true)]);
  expect(await shown(library)).toEqual([true, true]);
  const { size, mode } = await stat(join(dir, 'cast_1.pin'));
  expect([size, mode & 0o777]).toEqual([0, 0o600]);
  expect(await shown(new Library({ dir, live: () => null }))).toEqual([true, true]);
  await library.pin('cast_1', false);
  await library.pin('cast_1', false);
  expect(await shown(library)).toEqual([false, false]);
  expect(readdirSync(dir).filter((name) => /pin|draft/.test(name))).toEqual([]);
  for (const cast of ['cast_2', '../cast_1', 'cast_/../x']) {
    await expect(library.pin(cast, true)).rejects.toMatchObject({ fault: 'CAST_NOT_FOUND' });
  }
});

test('what was pinned with success is there, whenever the removal comes', async () => {
  const casts = Array.from({ length: 40 }, (_, n) => ({ cast: `cast_${n}`, agedMs: 9 * DAY_MS }));
  const { library, names, removed } = await given({ maxAgeMs: DAY_MS, maxBytes: null }, casts);
  library.catchUp();
  const tried = await Promise.allSettled(
    casts.map(async ({ cast }) => {
      await library.pin(cast, true);
      return cast;
    }),
  );
  const pinned = tried.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  await expect.poll(() => removed.length + pinned.length, { timeout: 20_000 }).toBe(casts.length);
  await library.close();
  expect(names()).toEqual(pinned.sort());
  for (const one of tried) if (one.status === 'rejected') expect(one.reason).toMatchObject({ fault: 'CAST_NOT_FOUND' });
});

test('who reads a recording while it is removed reads it to its end; afterwards it is not found', async () => {
  const { dir, library, names } = await given({ maxAgeMs: DAY_MS, maxBytes: null }, [
    { cast: 'cast_1', agedMs: 9 * DAY_MS, bytes: 3_000_000 },
  ]);
  const whole = readFileSync(join(dir, 'cast_1.cast'), 'utf8');
  await library.info('cast_1');
  await library.seek('cast_1', 1);
  let text = '';
  for await (const piece of (await library.export('cast_1', 'v3')).stream()) {
    text += piece.toString();
    if (names().length === 0) continue;
    library.catchUp();
    await settled(names, []);
  }
  expect(text).toBe(whole);
  const late = {
    info: library.info('cast_1'),
    slotOf: library.slotOf('cast_1'),
    seek: library.seek('cast_1', 1),
    read: library.read('cast_1', 0, 9),
    segmentIndex: library.segmentIndex('cast_1'),
    segment: library.segment('cast_1', 0),
    export: library.export('cast_1', 'txt'),
    verify: library.verify('cast_1'),
    pin: library.pin('cast_1', true),
  };
  const notFound = { status: 'rejected', reason: expect.objectContaining({ fault: 'CAST_NOT_FOUND' }) };
  expect(await Promise.allSettled(Object.values(late))).toEqual(Object.values(late).map(() => notFound));
  expect(await library.list({ limit: 9 })).toEqual([]);
  expect(readdirSync(dir)).toEqual([]);
});

test('without a rule nothing is ever looked at', async () => {
  let looks = 0;
  const retention = new Retention({
    rule: { maxAgeMs: null, maxBytes: null },
    stored: async () => {
      looks++;
      return [];
    },
    remove: async () => true,
    removed: () => {},
    failed: () => {},
  });
  retention.start();
  retention.sealed();
  await new Promise((resolve) => setImmediate(resolve));
  await retention.close();
  await retention.close();
  expect(looks).toBe(0);
});

test('one that can not be removed is told of, and keeps no other from being removed', async () => {
  const gone: string[] = [];
  const problems: unknown[] = [];
  const stored = ['a', 'b', 'c'].map((cast, endedAt) => ({ cast, bytes: 1, endedAt }));
  const retention = new Retention({
    rule: { maxAgeMs: 1000, maxBytes: null },
    stored: async () => stored,
    remove: async (cast) => {
      if (cast === 'b') throw new Error('busy');
      return true;
    },
    removed: ({ cast }) => void gone.push(cast),
    failed: (error) => void problems.push(error),
    now: () => 10_000,
  });
  await Promise.all([retention.run(), retention.run()]);
  expect(gone).toEqual(['a', 'c']);
  expect(problems).toEqual([new Error('busy')]);
});

test('a directory that is gone is no reason to fail', async () => {
  const { dir, library, problems } = await given({ maxAgeMs: 1, maxBytes: 1 }, []);
  await rm(dir, { recursive: true });
  library.catchUp();
  await library.close();
  expect(problems).toEqual([]);
  expect(existsSync(dir)).toBe(false);
});

test.each<[string, StoredCast[], KeepRule, string[]]>([
  ['exactly as old as the age stays', [one('a', 1, 900), one('b', 1, 899)], { maxAgeMs: 100, maxBytes: null }, ['b']],
  ['exactly as large as the size stays', [one('a', 5, 1), one('b', 5, 2)], { maxAgeMs: null, maxBytes: 10 }, []],
  ['what stays counts too', [one('a', 50, null), one('b', 5, 2)], { maxAgeMs: null, maxBytes: 10 }, ['b']],
  ['what goes by age makes room', [one('b', 5, 950), one('a', 50, 1)], { maxAgeMs: 100, maxBytes: 10 }, ['a']],
  ['the oldest by its end goes first', [one('b', 5, 2), one('a', 5, 1)], { maxAgeMs: null, maxBytes: 5 }, ['a']],
  ['of the same age in the order of names', [one('b', 5, 1), one('a', 5, 1)], { maxAgeMs: null, maxBytes: 5 }, ['a']],
])('%s', (_, stored, rule, wanted) => {
  expect(due(stored, rule, 1000).map(({ cast }) => cast)).toEqual(wanted);
});

function one(cast: string, bytes: number, endedAt: number | null): StoredCast {
  return { cast, bytes, endedAt };
}

test.each([3650, -3650])('a clock that is set by %d days makes no recording old', async (days) => {
  onTestFinished(() => void vi.useRealTimers());
  const stored: StoredCast[] = [
    { cast: 'cast_new', bytes: 1, endedAt: Date.now() - DAY_MS },
    { cast: 'cast_old', bytes: 1, endedAt: Date.now() - 20 * DAY_MS },
  ];
  const removed: string[] = [];
  const retention = new Retention({
    rule: { maxAgeMs: 14 * DAY_MS, maxBytes: null },
    stored: async () => stored.filter(({ cast }) => !removed.includes(cast)),
    remove: async () => true,
    removed: ({ cast }) => removed.push(cast),
    failed: (error) => expect.fail(String(error)),
  });
  const setMs = Date.now() + days * DAY_MS;
  vi.useFakeTimers({ toFake: ['Date'], now: setMs });
  await retention.run();
  expect(removed).toEqual(days > 0 ? ['cast_old'] : []);
  // Set right again.
  vi.useRealTimers();
  await retention.run();
  expect(removed).toEqual(['cast_old']);
});
