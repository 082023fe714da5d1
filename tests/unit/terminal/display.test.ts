import { expect, test } from 'vitest';
import { displayText } from '../../../server/terminal/display.ts';

test.each([
  ['ls', 'ls'],
  ['', ''],
  ['a\nb\n', 'a\n> b'],
  ['\ta', '    a'],
  ['a\x1b[2J\x07\x7f\r', 'a␛[2J␇␡␍'],
  ['a\u0085\u202eb', 'a\ufffd\ufffdb'],
])('%j is shown as %j', (command, shown) => {
  expect(displayText(command)).toBe(shown);
});

test('a long script is cut and the rest counted', () => {
  const shown = displayText(Array.from({ length: 100 }, (_, index) => `line ${index}`).join('\n')).split('\n');
  expect(shown).toHaveLength(21);
  expect(shown.at(-1)).toBe('> … 80 more lines');
});

test('a long line is cut between characters', () => {
  const shown = displayText(`x${'👍'.repeat(400)}`);
  expect(shown.length).toBeLessThan(502);
  expect(shown.isWellFormed()).toBe(true);
});
