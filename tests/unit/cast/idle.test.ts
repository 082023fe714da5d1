import { expect, test } from 'vitest';
import { Idle } from '../../../server/cast/idle.ts';
import { type Event, shelf } from './shelf.ts';

test('pauses of two seconds and more without output are told, at the beginning and the end too', async () => {
  const events: Event[] = [
    [2500, 'o', 'late'],
    [4499, 'o', 'soon'],
    [5000, 'm', 'p1 $ sleep 5'],
    [6499, 'r', '50x12'],
    [6500, 'o', 'after two seconds'],
    [10_000, 'm', 'p1 exited 0 5000ms'],
  ];
  const { library, put } = await shelf();
  await put({ cast: 'cast_idle' }, events);
  const { idle } = await library.info('cast_idle');
  expect(idle).toEqual([
    [0, 2.5],
    [4.499, 6.5],
    [6.5, 10],
  ]);
});

test('the pause that a live recording is in lasts until now', async () => {
  const live = { durationMs: 2000 };
  const { library, put } = await shelf({ cast_live: live });
  await put({ cast: 'cast_live', sealed: false }, [[1000, 'o', 'x']]);
  expect((await library.info('cast_live')).idle).toEqual([]);
  live.durationMs = 9000;
  expect((await library.info('cast_live')).idle).toEqual([[1, 9]]);
});

test('of more than 10,000 pauses the longest are told, in order', () => {
  const idle = new Idle();
  let timeMs = 0;
  for (let pause = 0; pause < 45_000; pause++) {
    // Every fifth is a long one.
    timeMs += pause % 5 === 0 ? 4000 : 2000;
    idle.output(timeMs);
  }
  expect(idle.size).toBeLessThan(20_000);
  const ranges = idle.ranges(timeMs + 60_000);
  expect(ranges).toHaveLength(10_000);
  expect(ranges.filter(([from, to]) => to - from >= 4)).toHaveLength(9001);
  expect(ranges.at(-1)).toEqual([timeMs / 1000, timeMs / 1000 + 60]);
  expect(ranges.map(([from]) => from)).toEqual(ranges.map(([from]) => from).sort((a, b) => a - b));
});
