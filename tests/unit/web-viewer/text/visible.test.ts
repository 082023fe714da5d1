import { expect, test } from 'vitest';
import { plainOutput, visible, visibleLines } from '../../../../web-viewer/src/text/visible.ts';

test('a label that turns the line around shows a sign instead', () => {
  expect(visible('cat \u202etxt.exe')).toBe('cat \u25aftxt.exe');
  expect(visible('a\u200bb\u{e0041}c')).toBe('a\u25afb\u25afc');
});

test('control characters are pictures, and a command of many lines is one', () => {
  expect(visible('a\x1b[31mb\x07')).toBe('a\u241b[31mb\u2407');
  expect(visible('for x\n\tin y')).toBe('for x in y');
  expect(visibleLines('a\r\nb\tc\x7f')).toBe('a\nb\tc\u2421');
});

test('what is too long is cut, and says so', () => {
  expect(visible('x'.repeat(600), 10)).toBe(`${'x'.repeat(10)}…`);
});

test('output loses its colours, links and titles, and of a progress bar the last state is left', () => {
  expect(plainOutput('\x1b[1;31mred\x1b[0m\n')).toBe('red\n');
  expect(plainOutput('\x1b]8;;javascript:alert(1)\x1b\\here\x1b]8;;\x1b\\')).toBe('here');
  expect(plainOutput('10%\r50%\r100%\r\ndone')).toBe('100%\ndone');
});

test('a sequence that never ends takes nothing but itself along, in one pass', () => {
  expect(plainOutput(`\x1b]0;${'a'.repeat(200_000)}`)).toBe('');
  // Tried from every start to every end this would outlast the test.
  expect(plainOutput('\x1b]0;'.repeat(400_000))).toBe('');
  expect(plainOutput('\x1bP'.repeat(400_000))).toBe('');
});
