import { expect, test } from 'vitest';
import { pauseAt } from '../../../../web-viewer/src/cast/idle.ts';

const pauses = [
  [2, 4],
  [10, 70],
] as const;

test('of a pause a second is kept, and it is left shortly before its end', () => {
  expect(pauseAt(pauses, 10.5, 1)).toBeNull();
  expect(pauseAt(pauses, 11.1, 1)).toBeCloseTo(69.7);
  expect(pauseAt(pauses, 69.8, 1)).toBeNull();
});

test('where something is printed nothing is skipped', () => {
  for (const time of [0, 1.9, 4.1, 9.9, 71]) expect(pauseAt(pauses, time, 1)).toBeNull();
});
