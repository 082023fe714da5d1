import { expect, test } from 'vitest';
import { type CommandEnd, endLabel, parseLabel, startLabel } from '../../../protocol/command-mark.ts';

const ends: readonly (readonly [CommandEnd, string])[] = [
  [{ outcome: 'exited', exitCode: 0, signal: null, durationMs: 1200 }, 'p3 exited 0 1200ms'],
  [{ outcome: 'exited', exitCode: 130, signal: null, durationMs: 0 }, 'p3 exited 130 0ms'],
  [{ outcome: 'signaled', exitCode: null, signal: 'KILL', durationMs: 1200 }, 'p3 signaled KILL 1200ms'],
  [{ outcome: 'timedOut', exitCode: null, signal: null, durationMs: 30_000 }, 'p3 timedOut 30000ms'],
  [{ outcome: 'lost', exitCode: null, signal: null, durationMs: 10 }, 'p3 lost 10ms'],
];

test.each(ends)('%j is written as %s and read back', (end, label) => {
  expect(endLabel('p3', end)).toBe(label);
  expect(parseLabel(label)).toEqual({ kind: 'end', process: 'p3', ...end });
});

test('a start keeps the first line that has text', () => {
  expect(startLabel('r4', '\n  \nnpm test\nnpm run build')).toBe('r4 $ npm test');
  expect(parseLabel('r4 $ npm test')).toEqual({ kind: 'start', process: 'r4', command: 'npm test' });
});

test('a long command is cut without splitting a character', () => {
  const label = startLabel('p1', '😀'.repeat(300));
  expect([...label]).toHaveLength('p1 $ '.length + 200);
  expect(label.isWellFormed?.() ?? true).toBe(true);
});

test('control characters and turned text do no harm in a label', () => {
  expect(startLabel('p1', 'printf \x1b[31m\x07\x7f \u202etxt\ud83d')).toBe('p1 $ printf ␛[31m␇␡ �txt�');
});

test.each([
  'slot reset',
  'p1',
  'p1 exited',
  'p1 exited x 1ms',
  'p1 signaled NONE 1ms',
  'p1 lost 3 1ms',
  'x1 $ y',
  'p1  lost 1ms',
])('%j is no mark of a command', (label) => expect(parseLabel(label)).toBeNull());
