import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { Library } from '../../../server/cast/library.ts';
import { Emulator } from '../../../server/screen/emulator.ts';
import { loadAsPlayer, type PlayerRecording } from './player-loader.ts';
import { type Event, longSession, shelf } from './shelf.ts';

const open: { close(): void }[] = [];

afterEach(() => {
  for (const thing of open.splice(0)) thing.close();
});

/** Serves one cast's index and segments, and loads them as the player does. */
async function asPlayer(library: Library, cast: string, until?: number): Promise<PlayerRecording> {
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '', 'http://localhost');
    const [, number] = /segment-(\d+)\.json$/.exec(url.pathname) ?? [];
    const asked = url.searchParams.has('until') ? Number(url.searchParams.get('until')) : undefined;
    const found =
      number === undefined
        ? await library.segmentIndex(cast, asked)
        : await library.segment(cast, Number(number), asked);
    response.end(JSON.stringify(found));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push(server);
  const { port } = server.address() as AddressInfo;
  return await loadAsPlayer(`http://127.0.0.1:${port}/index.json${until === undefined ? '' : `?until=${until}`}`);
}

/** Plays every segment by itself; gives the screen at the end of each. */
async function played(recording: PlayerRecording) {
  const ends: { screen: string; next: string }[] = [];
  for (let number = 0; number < recording.segments.length; number++) {
    const { snapshot, events } = await recording.loadSegment(number);
    const emulator = new Emulator(snapshot);
    emulator.write(snapshot.init);
    const next = emulator.ansi();
    for (const [, code, data] of events) if (code === 'o' || code === 'r') emulator.feed({ code, data: String(data) });
    ends.push({ screen: emulator.ansi(), next });
  }
  return ends;
}

test('the player takes a finished cast, every segment of it, and each begins where the one before it ends', async () => {
  const { library, put } = await shelf();
  const events = longSession(600);
  await put({ cast: 'cast_a' }, [...events, [601_000, 'x', '0']]);
  const recording = await asPlayer(library, 'cast_a');
  expect(recording.duration).toBe(601_000);
  expect(recording.segments.length).toBeGreaterThan(15);
  expect(recording.markers).toEqual([50, 150, 250, 350, 450, 550].map((s) => [s * 1000 + (s % 7), `step ${s}`]));
  const ends = await played(recording);
  for (let number = 1; number < ends.length; number++) expect(ends[number]?.next).toBe(ends[number - 1]?.screen);
  const straight = new Emulator({ cols: 40, rows: 10 });
  for (const [, code, data] of events) straight.feed({ code, data });
  expect(ends.at(-1)?.screen).toBe(straight.ansi());
});

test('markers in segments are those of the index', async () => {
  const { library, put } = await shelf();
  await put({ cast: 'cast_a' }, longSession(300));
  const recording = await asPlayer(library, 'cast_a');
  const found: unknown[] = [];
  for (let number = 0; number < recording.segments.length; number++) {
    const { events } = await recording.loadSegment(number);
    for (const [time, code, data] of events) if (code === 'm') found.push([time, data]);
  }
  expect(found).toEqual(recording.markers.map(([time, label], index) => [time, { index, time, label }]));
});

test('a live cast is frozen at a moment and stays so while it grows', async () => {
  const live = { durationMs: 100_000 };
  const { library, put } = await shelf({ cast_live: live });
  await put({ cast: 'cast_live', sealed: false }, longSession(100));
  const now = await asPlayer(library, 'cast_live');
  expect(now.duration).toBe(100_000);
  const early = await asPlayer(library, 'cast_live', 45_500);
  expect(early.duration).toBe(45_500);
  const before = await played(early);
  live.durationMs = 300_000;
  await put({ cast: 'cast_live', sealed: false }, longSession(300));
  expect(await played(early)).toEqual(before);
  expect(before.at(-1)?.screen).toContain('second 45');
  expect(before.at(-1)?.screen).not.toContain('second 46');
});

interface Odd {
  readonly what: string;
  readonly events: readonly Event[];
  readonly until?: number;
}

const late: readonly Event[] = [
  [50, 'o', 'x'],
  [60_000, 'o', 'y'],
  [70_000, 'o', 'z'],
];

const odd: readonly Odd[] = [
  { what: 'nothing', events: [] },
  { what: 'one frame at the beginning', events: [[0, 'o', 'x']] },
  {
    what: 'only markers',
    events: [
      [10, 'm', 'p1 $ ls'],
      [20, 'm', 'p1 exited 0 10ms'],
    ],
  },
  {
    what: 'a pause longer than a segment',
    events: [
      [5, 'o', 'a'],
      [100_000, 'o', 'b'],
      [100_000, 'o', 'c'],
    ],
  },
  { what: 'a flood within one millisecond', events: Array.from({ length: 20 }, () => [7, 'o', 'x'.repeat(60_000)]) },
  {
    what: 'a flood over a few milliseconds',
    events: Array.from({ length: 40 }, (_, index) => [index >> 2, 'o', 'x'.repeat(60_000)]),
  },
  { what: 'a late first frame', events: [[90_000, 'o', 'x']] },
  { what: 'a moment before everything', events: late, until: 10 },
  { what: 'a moment at which a segment would begin', events: late, until: 60_000 },
];

test.each(odd)('the player takes a cast of $what', async ({ events, until }) => {
  const { library, put } = await shelf();
  await put({ cast: 'cast_odd' }, events);
  const recording = await asPlayer(library, 'cast_odd', until);
  expect(await played(recording)).toHaveLength(recording.segments.length);
});

test('a segment that is not there is said to be so', async () => {
  const { library, put } = await shelf();
  await put({ cast: 'cast_a' }, [[1, 'o', 'x']]);
  await expect(library.segment('cast_a', 7)).rejects.toMatchObject({ fault: 'CAST_NOT_FOUND' });
});
