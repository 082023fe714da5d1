import { expect, test } from 'vitest';
import type { Mark } from '../../../server/terminal/mark.ts';
import { Prompt } from '../../../server/terminal/prompt.ts';

const BEGIN: Mark = { kind: 'promptStart', status: 0, options: 'himBHs' };
const END: Mark = { kind: 'promptEnd', continuation: false };

function after(...events: (string | Mark)[]): Prompt {
  const prompt = new Prompt();
  for (const event of events) prompt.see(event);
  return prompt;
}

test.each<[string, number, number, number]>([
  ['$ ', 10, 80, 1],
  // Just to the edge, and one more.
  ['$ ', 18, 20, 1],
  ['$ ', 19, 20, 2],
  ['$ ', 38, 20, 2],
  ['漢字> ', 14, 20, 1],
  ['漢字> ', 15, 20, 2],
  ['\x1b[1;31mred\x1b[0m\x1b]0;title\x07> ', 15, 20, 1],
  ['\x1b[1;31mred\x1b[0m\x1b]0;title\x1b\\> ', 16, 20, 2],
  ['', 0, 20, 1],
])('behind the prompt %j a line of %i characters in %i columns takes %i rows', (text, typed, cols, rows) => {
  expect(after(BEGIN, text, END).shown('make', { typed, cols })).toBe(`\x1b[${rows}A\r\x1b[J${text}make`);
});

test.each<[string, (string | Mark)[], string | null]>([
  ['of several pieces', [BEGIN, '~ ', '$ ', END, 'typed'], '~ $ '],
  ['of two lines is its last one', [BEGIN, 'first\r\n$ ', END], '$ '],
  ['whose last line is drawn anew stays', [BEGIN, 'first\r\n$ ', END, '$ ', END], '$ '],
  ['of a line that goes on is none', [BEGIN, '$ ', END, '> ', { kind: 'promptEnd', continuation: true }], '$ '],
  ['is over when a command begins', [BEGIN, '$ ', END, { kind: 'outputStart', run: null }, 'output'], null],
  ['is over when one ends', [BEGIN, '$ ', END, { kind: 'finished', status: 0, cwd: null }, END], null],
  ['is not as long as what a program prints', [BEGIN, 'x'.repeat(5000), END], null],
  ['was never there', ['$ '], null],
])('a prompt %s', (_what, events, text) => {
  expect(after(...events).text).toBe(text);
});

test('where no prompt stands nothing is taken away', () => {
  expect(after().shown('make', { typed: 50, cols: 20 })).toBe('make');
});

test('what is set in the shell is known while its prompt stands', () => {
  expect(after(BEGIN).options).toBe('himBHs');
  expect(after(BEGIN, END, { kind: 'outputStart', run: null }).options).toBeNull();
});
