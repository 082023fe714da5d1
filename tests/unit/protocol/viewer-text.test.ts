// OSC 52 never reaches who watches, however it is written or cut; everything else does.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ViewerText } from '../../../protocol/viewer-text.ts';

const filtered = (...frames: string[]): string => {
  const text = new ViewerText();
  return frames.map((frame) => text.push(frame)).join('');
};

test.each([
  ['set, ended by BEL', 'a\x1b]52;c;aGk=\x07b', 'ab'],
  ['set, ended by ST', 'a\x1b]52;c;aGk=\x1b\\b', 'ab'],
  ['set, in C1', 'a\x9d52;c;aGk=\x9cb', 'ab'],
  ['asked for', 'a\x1b]52;c;?\x07b', 'ab'],
  ['twice', '\x1b]52;;x\x07-\x1b]52;;y\x07', '-'],
  ['with zeros', 'a\x1b]0052;c;aGk=\x07b', 'ab'],
  ['with many zeros', `a\x1b]${'0'.repeat(500)}52;c;aGk=\x07b`, 'ab'],
  ['with controls inside', 'a\x1b\x00]5\x002\x01;c;aGk=\x07b', 'ab'],
  ['with a bell after ESC', 'a\x1b\x07]52;c;aGk=\x07b', 'ab'],
  ['wrapped for tmux', '\x1bPtmux;\x1b\x1b]52;c;x\x07\x1b\\b', '\x1bPtmux;\x1b\x1b\\b'],
  ['cancelled', 'a\x1b]52;c;x\x18b', 'ab'],
  ['cut off by another sequence', 'a\x1b]52;c;x\x1b[1mb', 'a\x1b[1mb'],
  ['without an end', 'a\x1b]52;c;xxxx', 'a'],
])('%s', (_name, text, expected) => {
  expect(filtered(text)).toBe(expected);
  expect(filtered(...text)).toBe(expected);
});

test.each([
  'plain',
  '\x1b[1;31mred\x1b[m',
  '\x1b]0;title\x07',
  '\x1b]520;x\x07',
  '\x1b]5;2;x\x07',
  '\x1b]8;;http://x\x07l\x1b]8;;\x07',
  '\x1b]133;D;0\x1b\\',
])('%j passes as it is, whole and in pieces', (text) => {
  expect(filtered(text)).toBe(text);
  expect(filtered(...text, 'end')).toBe(`${text}end`);
});

test('where the frames are cut makes no difference', () => {
  const pieces = fc.constantFrom('\x1b', ']', '\x9d', '5', '2', '0', ';', 'c', '\x07', '\\', '\x9c', '\x00', '[', 'x');
  fc.assert(
    fc.property(fc.array(fc.array(pieces).map((parts) => parts.join(''))), (frames) => {
      // An end that no sequence begins with lets out what is still undecided.
      expect(filtered(...frames, 'x', '\x07')).toBe(filtered(`${frames.join('')}x\x07`));
    }),
    { numRuns: 2000 },
  );
});

test('padding without end is not kept', () => {
  const text = new ViewerText();
  text.push(`\x1b${'\x00'.repeat(1_000_000)}`);
  expect(text.push('x')).toBe('x');
});

test('a fresh screen begins anew', () => {
  const text = new ViewerText();
  text.push('\x1b]52;c;');
  text.reset();
  expect(text.push('shown')).toBe('shown');
});
