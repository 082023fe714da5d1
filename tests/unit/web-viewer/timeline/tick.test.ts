import { expect, test } from 'vitest';
import { neighbour, type TimelineMark, ticksOf } from '../../../../web-viewer/src/timeline/tick.ts';

const mark = (time: number, kind: TimelineMark['kind'] = 'ok'): TimelineMark => ({ time, label: `at ${time}`, kind });
const marks = [0.5, 0.52, 0.52, 0.55, 10].map((time) => mark(time));

test('commands within a blink are gone through one moment at a time, forwards and back', () => {
  const there: number[] = [];
  for (let time: number | undefined = 0; time !== undefined; time = neighbour(marks, time, 1)?.time) there.push(time);
  expect(there).toEqual([0, 0.5, 0.52, 0.55, 10]);
  const back: number[] = [];
  for (let time: number | undefined = 10; time !== undefined; time = neighbour(marks, time, -1)?.time) back.push(time);
  expect(back).toEqual([10, 0.55, 0.52, 0.5]);
});

test('in the middle of a command, going back goes to its beginning first', () => {
  expect(neighbour(marks, 9, -1)?.time).toBe(0.55);
  expect(neighbour(marks, 0.9, -1)?.time).toBe(0.52);
});

test('before the first and after the last there is none', () => {
  expect(neighbour(marks, 0.1, -1)).toBeUndefined();
  expect(neighbour(marks, 11, 1)).toBeUndefined();
  expect(neighbour([], 1, 1)).toBeUndefined();
});

test('a failure among thousands of marks keeps its tick, and there are no more than fit', () => {
  const many = Array.from({ length: 5000 }, (_, n) => mark(n / 10, n === 2500 ? 'failed' : 'ok'));
  const ticks = ticksOf(many, 500);
  expect(ticks.length).toBeLessThanOrEqual(300);
  expect(ticks.filter(({ kind }) => kind === 'failed').map(({ at }) => at)).toEqual([250]);
});
