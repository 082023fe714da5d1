import { expect, test } from 'vitest';
import { parsePositive, parseTime, parseVariable } from '../../../cli/argument.ts';
import { duration, harmless, size, table } from '../../../cli/table.ts';

test.each([
  ['90s', 90_000],
  ['15m', 900_000],
  ['1h', 3_600_000],
  ['7d', 604_800_000],
  ['1.5', 1500],
  ['250ms', 250],
])('the time %s is %d ms', (text, ms) => {
  expect(parseTime(text)).toBe(ms);
});

test.each(['', '0', '-1s', 'soon', '1w', '1e9d', 'Infinity'])('%j is no time', (text) => {
  expect(() => parseTime(text)).toThrow(/90s, 15m/);
});

test('speeds are above 0', () => {
  expect(parsePositive('0.5')).toBe(0.5);
  expect(() => parsePositive('0')).toThrow();
  expect(() => parsePositive('x')).toThrow();
});

test('variables add up, and a value may have a =', () => {
  expect(parseVariable('B=x=y', parseVariable('A='))).toEqual({ A: '', B: 'x=y' });
  expect(() => parseVariable('=x')).toThrow();
});

test('a table aligns its columns, and nothing of a slot can write on the terminal', () => {
  expect(
    table(
      ['A', 'B'],
      [
        ['long one', '\x1b]0;x\x07evil'],
        ['x', ''],
      ],
    ),
  ).toBe('A         B\nlong one   ]0;x evil\nx\n');
  expect(harmless('a\u202eb\nc')).toBe('a b c');
});

test('durations and sizes are short', () => {
  expect([5, 83, 7265].map(duration)).toEqual(['5s', '1m23s', '2h1m']);
  expect([999, 12_345, 5e9].map(size)).toEqual(['999 B', '12.3 kB', '5.0 GB']);
});
