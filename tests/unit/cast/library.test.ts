import { appendFile, readFile, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CastEncoder, encodeHeader } from '../../../protocol/asciicast.ts';
import { castInfo, castMethods, marker } from '../../../protocol/cast.ts';
import { Emulator } from '../../../server/screen/emulator.ts';
import { directory, type Event, longSession, SIZE, shelf } from './shelf.ts';

const fault = (name: string) => expect.objectContaining({ fault: name });

test('casts are listed newest first, by slot and label, in pages', async () => {
  const { library, put, dir } = await shelf();
  await put({ cast: 'cast_b', slot: 'slot_1', label: 'ci', startedAt: 2000 }, [[1500, 'o', 'x']]);
  await put({ cast: 'cast_a', slot: 'slot_2', label: null, startedAt: 3000 }, [[2500, 'm', 'p1 $ ls']]);
  await put({ cast: 'cast_c', slot: 'slot_1', label: 'ci', startedAt: 1000 }, []);
  await writeFile(join(dir, 'cast_broken.cast'), 'no cast\n');
  await writeFile(join(dir, 'notes.txt'), '');
  const list = async (filter: object) => (await library.list({ limit: 100, ...filter })).map((info) => info.cast);
  expect(await list({})).toEqual(['cast_a', 'cast_b', 'cast_c']);
  expect(await list({ slot: 'slot_1' })).toEqual(['cast_b', 'cast_c']);
  expect(await list({ label: 'ci', limit: 1 })).toEqual(['cast_b']);
  expect(await list({ before: 'cast_b' })).toEqual(['cast_c']);
  // A recording of another slot says nothing, not even that it is there and when it began.
  expect(await list({ slot: 'slot_1', before: 'cast_a' })).toEqual(await list({ slot: 'slot_1', before: 'cast_none' }));
  expect(await list({ cast: 'cast_c', before: 'cast_b' })).toEqual(['cast_c']);
  const [newest] = await library.list({ limit: 1 });
  expect(newest).toEqual({
    cast: 'cast_a',
    slot: 'slot_2',
    label: null,
    startedAt: 3000,
    duration: 2.5,
    bytes: (await readFile(join(dir, 'cast_a.cast'))).length,
    cols: 40,
    rows: 10,
    live: false,
    pinned: false,
    commands: 1,
    failed: 1,
  });
  expect(castInfo.safeParse(newest).success).toBe(true);
});

test('a recording that does not say whose it is can be listed, and clients take the list', async () => {
  const { library, dir } = await shelf();
  await writeFile(join(dir, 'cast_foreign.cast'), '{"version":2,"width":80,"height":24}\n[1,"o","x"]\n');
  const long = { cast: 'cast_long', slot: 'x'.repeat(65), label: null, startedAt: 1 };
  await writeFile(join(dir, 'cast_long.cast'), encodeHeader({ version: 3, cols: 80, rows: 24, slotcast: long }));
  const casts = await library.list({ limit: 10 });
  expect(casts.map(({ slot }) => slot)).toEqual(['', '']);
  expect(castMethods['cast.list'].result.safeParse({ casts }).error).toBeUndefined();
});

test('a directory that is not there yet has no casts', async () => {
  const { Library } = await import('../../../server/cast/library.ts');
  const library = new Library({ dir: join(await directory(), 'none'), live: () => null });
  expect(await library.list({ limit: 10 })).toEqual([]);
});

test.each(['../cast_x', 'cast_x/../../etc', 'cast_X', 'cast_', 'CAST_a', 'cast_a.cast', 'cast_\0'])(
  '%j is no cast',
  async (name) => {
    const { library, dir } = await shelf();
    await symlink('/etc/passwd', join(dir, 'cast_X.cast'));
    for (const call of [
      library.info(name),
      library.seek(name, 0),
      library.export(name, 'v3'),
      library.segmentIndex(name),
    ]) {
      await expect(call).rejects.toEqual(fault('CAST_NOT_FOUND'));
    }
  },
);

test('markers tell each command with its end; one without an end is lost, or runs while the cast is live', async () => {
  const events: Event[] = [
    [100, 'm', 'p1 $ npm test'],
    [200, 'm', 'r1 $ make'],
    [250, 'm', 'slot reset'],
    [300, 'm', 'p1 exited 1 200ms'],
    [400, 'm', 'p2 $ sleep 9'],
    [500, 'm', 'r1 signaled KILL 300ms'],
  ];
  const { library, put } = await shelf({ cast_live: { durationMs: 9000 } });
  await put({ cast: 'cast_done' }, events);
  await put({ cast: 'cast_live', sealed: false }, events);
  const { markers } = await library.info('cast_done');
  expect(markers).toEqual([
    {
      time: 0.1,
      seq: 1,
      label: 'npm test',
      process: 'p1',
      command: 'npm test',
      outcome: 'exited',
      exitCode: 1,
      durationMs: 200,
    },
    {
      time: 0.2,
      seq: 2,
      label: 'make',
      process: 'r1',
      command: 'make',
      outcome: 'signaled',
      exitCode: null,
      durationMs: 300,
    },
    { time: 0.25, seq: 3, label: 'slot reset' },
    { time: 0.4, seq: 5, label: 'sleep 9', process: 'p2', command: 'sleep 9', outcome: 'lost', exitCode: null },
  ]);
  for (const one of markers) expect(marker.safeParse(one).success).toBe(true);
  const live = await library.info('cast_live');
  expect(live).toMatchObject({ live: true, duration: 9, commands: 3 });
  expect(live.markers.at(-1)).toMatchObject({ process: 'p2', outcome: 'running' });
});

test('a seek gives the same screen as playing from the start, forwards and backwards', async () => {
  const events = longSession();
  const { library, put } = await shelf();
  await put({ cast: 'cast_long' }, events);
  for (const time of [3599, 0, 12.003, 351, 379.5, 1800, 3000, 250, 1e6]) {
    const found = await library.seek('cast_long', time);
    const straight = new Emulator(SIZE);
    const before = events.filter(([timeMs]) => timeMs <= time * 1000);
    for (const [, code, data] of before) straight.feed({ code, data });
    const shown = new Emulator({ cols: found.cols, rows: found.rows });
    shown.write(found.screen);
    expect(shown.ansi(), `at ${time}`).toBe(straight.ansi());
    expect(shown.cursor).toEqual(straight.cursor);
    expect(found.seq).toBe(before.length);
    expect(found.time).toBe(Math.min(time, 3599.001));
  }
});

test('reading gives the frames of a range, and all of them when pages are joined', async () => {
  const events = longSession(300);
  const { library, put } = await shelf();
  await put({ cast: 'cast_r' }, [[0, 'o', 'first'], [0, 'o', 'second'], ...events]);
  const all = await library.read('cast_r', 0, Number.MAX_SAFE_INTEGER);
  expect(all.frames).toHaveLength(events.length + 2);
  expect(all.frames.slice(0, 2)).toEqual([
    [0, 'o', 'first'],
    [0, 'o', 'second'],
  ]);
  const joined = [];
  for (let from = 0; from < 301; from += 16.1) joined.push(...(await library.read('cast_r', from, from + 16.1)).frames);
  expect(joined).toEqual(all.frames);
});

test('reading stops at 8 MiB between two moments and says where to go on', async () => {
  const events = Array.from({ length: 300 }, (_, index): Event => [index >> 1, 'o', `${index} ${'x'.repeat(60_000)}`]);
  const { library, put } = await shelf();
  await put({ cast: 'cast_big' }, events);
  const frames = [];
  let pages = 0;
  for (let next: number | undefined = 0; next !== undefined; pages++) {
    const page = await library.read('cast_big', next, Number.MAX_SAFE_INTEGER);
    frames.push(...page.frames);
    expect(page.truncated).toBe(page.next !== undefined);
    next = page.next;
  }
  expect(pages).toBe(3);
  expect(frames.map(([, , data]) => data.split(' ')[0])).toEqual(events.map((_, index) => String(index)));
});

test('a live cast is followed as it grows, and a torn last line waits until it is whole', async () => {
  const live = { durationMs: 5000 };
  const { library, put } = await shelf({ cast_live: live });
  const path = await put({ cast: 'cast_live', sealed: false }, [[1000, 'o', 'one\r\n']]);
  expect((await library.seek('cast_live', 99)).seq).toBe(1);
  const encoder = new CastEncoder(3, 1000);
  await appendFile(path, `${encoder.encode({ timeMs: 2000, code: 'o', data: 'two\r\n' })}[1.0, "o", "to`);
  const torn = await library.seek('cast_live', 99);
  expect(torn).toMatchObject({ seq: 2, time: 5 });
  expect(torn.screen).toContain('two');
  await appendFile(path, 'rn"]\n');
  expect((await library.read('cast_live', 2.5, 10)).frames).toEqual([[3, 'o', 'torn']]);
  expect((await library.list({ limit: 1 }))[0]).toMatchObject({ live: true, duration: 5 });
});

test('a damaged cast names the line and can be read up to it', async () => {
  const { library, put } = await shelf();
  const path = await put({ cast: 'cast_bad', sealed: false }, longSession(100));
  const lines = (await readFile(path, 'utf8')).split('\n');
  lines[50] = '[broken';
  await writeFile(path, lines.join('\n'));
  await expect(library.info('cast_bad')).rejects.toThrow(/line 51\b/);
  await expect(library.info('cast_bad')).rejects.toEqual(fault('CAST_DAMAGED'));
  await expect(library.seek('cast_bad', 90)).rejects.toEqual(fault('CAST_DAMAGED'));
  await expect(library.read('cast_bad', 0, 100)).rejects.toEqual(fault('CAST_DAMAGED'));
  expect((await library.seek('cast_bad', 10.5)).screen).toContain('second 10');
  expect((await library.read('cast_bad', 0, 10)).frames).toHaveLength(10);
  expect(await library.list({ limit: 10 })).toHaveLength(1);
  expect(await library.slotOf('cast_bad')).toBe('slot_1');
  await expect(library.slotOf('cast_none')).rejects.toEqual(fault('CAST_NOT_FOUND'));
});

test('a cast without a readable header is damaged at line 1', async () => {
  const { library, dir } = await shelf();
  await writeFile(join(dir, 'cast_bad.cast'), '{"version":1}\n');
  await expect(library.info('cast_bad')).rejects.toThrow(/line 1\b/);
});

test('frames that were never written are skipped in the count', async () => {
  const { library, dir, put } = await shelf();
  await put({ cast: 'cast_gap', sealed: false }, [[1, 'o', 'a']]);
  await appendFile(join(dir, 'cast_gap.cast'), '# slotcast gap {"from":2,"to":9}\n[1.000, "o", "b"]\n');
  expect((await library.seek('cast_gap', 9)).seq).toBe(10);
});

test('a cast that was cut after it was indexed is read anew', async () => {
  const { library, put } = await shelf();
  const path = await put({ cast: 'cast_cut', sealed: false }, longSession(100));
  await library.seek('cast_cut', 100);
  await truncate(path, 400);
  expect((await library.seek('cast_cut', 100)).seq).toBeLessThan(10);
});

test('of a recording with very many markers the first are told, with how their commands ended, and all commands are counted', async () => {
  const { library, put } = await shelf();
  const events: Event[] = [[0, 'm', 'p1 $ long']];
  for (let number = 2; number <= 40_000; number++) {
    events.push([number, 'm', `p${number} $ true`], [number, 'm', `p${number} exited 0 1ms`]);
  }
  events.push([50_000, 'm', 'p1 exited 3 50000ms'], [50_000, 'm', 'the last']);
  await put({ cast: 'cast_many' }, events);
  const { markers, commands, failed } = await library.info('cast_many');
  expect([commands, failed]).toEqual([40_000, 1]);
  // Half of the markers are ends, which stand with their beginnings.
  expect(markers).toHaveLength(25_001);
  expect(markers[0]).toMatchObject({ process: 'p1', outcome: 'exited', exitCode: 3 });
  expect(markers.at(-1)).toMatchObject({ process: 'p25001', outcome: 'exited', exitCode: 0 });
});
