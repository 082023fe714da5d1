import { expect, test } from 'vitest';
import { dependsOnMode, keyBytes } from '../../../protocol/key.ts';

const NORMAL = { applicationCursor: false };
const APPLICATION = { applicationCursor: true };

test.each([
  ['Enter', '\r'],
  ['Escape', '\x1b'],
  ['Space', ' '],
  ['Tab', '\t'],
  ['BTab', '\x1b[Z'],
  ['S-Tab', '\x1b[Z'],
  ['BSpace', '\x7f'],
  ['Up', '\x1b[A'],
  ['Down', '\x1b[B'],
  ['Right', '\x1b[C'],
  ['Left', '\x1b[D'],
  ['Home', '\x1b[H'],
  ['End', '\x1b[F'],
  ['IC', '\x1b[2~'],
  ['Insert', '\x1b[2~'],
  ['DC', '\x1b[3~'],
  ['Delete', '\x1b[3~'],
  ['PPage', '\x1b[5~'],
  ['PageUp', '\x1b[5~'],
  ['PgUp', '\x1b[5~'],
  ['NPage', '\x1b[6~'],
  ['PageDown', '\x1b[6~'],
  ['PgDn', '\x1b[6~'],
  ['F1', '\x1bOP'],
  ['F2', '\x1bOQ'],
  ['F3', '\x1bOR'],
  ['F4', '\x1bOS'],
  ['F5', '\x1b[15~'],
  ['F6', '\x1b[17~'],
  ['F7', '\x1b[18~'],
  ['F8', '\x1b[19~'],
  ['F9', '\x1b[20~'],
  ['F10', '\x1b[21~'],
  ['F11', '\x1b[23~'],
  ['F12', '\x1b[24~'],
  ['KP0', '0'],
  ['KP9', '9'],
  ['KP/', '/'],
  ['KP*', '*'],
  ['KP-', '-'],
  ['KP+', '+'],
  ['KP.', '.'],
  ['KPEnter', '\r'],
])('%s is the key of that name', (key, bytes) => {
  expect(keyBytes(key, NORMAL)).toBe(bytes);
  expect(keyBytes(key.toLowerCase(), NORMAL)).toBe(bytes);
  expect(keyBytes(key.toUpperCase(), NORMAL)).toBe(bytes);
});

test.each([
  ['C-c', '\x03'],
  ['c-c', '\x03'],
  ['C-C', '\x03'],
  ['^c', '\x03'],
  ['^C', '\x03'],
  ['C-a', '\x01'],
  ['C-z', '\x1a'],
  ['C-@', '\0'],
  ['C-Space', '\0'],
  ['C-2', '\0'],
  ['C-[', '\x1b'],
  ['C-\\', '\x1c'],
  ['C-]', '\x1d'],
  ['C-^', '\x1e'],
  ['^^', '\x1e'],
  ['C-_', '\x1f'],
  ['C-/', '\x1f'],
  ['C-?', '\x7f'],
  ['C-8', '\x7f'],
  ['C-BSpace', '\b'],
  ['C-Enter', '\r'],
  ['C-1', '1'],
  ['M-x', '\x1bx'],
  ['M-X', '\x1bX'],
  ['M--', '\x1b-'],
  ['M-é', '\x1bé'],
  ['M-Enter', '\x1b\r'],
  ['M-BSpace', '\x1b\x7f'],
  ['M-Escape', '\x1b\x1b'],
  ['M-BTab', '\x1b\x1b[Z'],
  ['M-KP5', '\x1b5'],
  ['C-M-x', '\x1b\x18'],
  ['M-C-x', '\x1b\x18'],
  ['^M-x', '\x1b\x18'],
  ['S-a', 'A'],
  ['S-Up', '\x1b[1;2A'],
  ['M-Up', '\x1b[1;3A'],
  ['S-M-Up', '\x1b[1;4A'],
  ['C-Left', '\x1b[1;5D'],
  ['C-S-Right', '\x1b[1;6C'],
  ['C-M-Down', '\x1b[1;7B'],
  ['C-M-S-End', '\x1b[1;8F'],
  ['C-Home', '\x1b[1;5H'],
  ['S-F1', '\x1b[1;2P'],
  ['C-F5', '\x1b[15;5~'],
  ['S-PPage', '\x1b[5;2~'],
  ['M-DC', '\x1b[3;3~'],
])('%s carries its modifiers', (key, bytes) => {
  expect(keyBytes(key, NORMAL)).toBe(bytes);
});

test.each([
  'a',
  'A',
  '漢',
  '👍',
  '^',
  '-',
  '',
  'ls -la',
  'C-',
  'M-',
  'C-foo',
  'C-é',
  'X-a',
  'F13',
  'F0',
  'Entr',
  '\x1b[A',
  'S-',
  '^foo',
  'C-👍',
  'KP',
  'KPx',
])('%j is no key name and is typed as it is', (text) => {
  expect(keyBytes(text, NORMAL)).toBe(text);
});

test.each([
  ['Up', '\x1bOA'],
  ['Left', '\x1bOD'],
  ['Home', '\x1bOH'],
  ['End', '\x1bOF'],
  ['S-Up', '\x1b[1;2A'],
  ['F1', '\x1bOP'],
  ['PPage', '\x1b[5~'],
])('%s follows the application cursor mode', (key, bytes) => {
  expect(keyBytes(key, APPLICATION)).toBe(bytes);
});

test('only plain cursor keys depend on the mode', () => {
  expect(['Up', 'down', 'Home', 'End'].map(dependsOnMode)).toEqual([true, true, true, true]);
  expect(['Enter', 'C-Up', 'F1', 'ls'].map(dependsOnMode)).toEqual([false, false, false, false]);
});
