// Paths as text: what they mean, and which never mean anything.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Fault } from '../../../protocol/fault.ts';
import { parsePath, quote } from '../../../server/workspace/path.ts';

test.each([
  ['a/b', ['a', 'b'], false],
  ['./a//b', ['a', 'b'], false],
  ['a/../b', ['b'], false],
  ['a/b/', ['a', 'b'], true],
  ['a/.', ['a'], true],
  ['a/b/..', ['a'], true],
  ['.', [], true],
  ['/workspace', [], true],
  ['/workspace/x', ['x'], false],
  ['//workspace//x', ['x'], false],
  ['/workspace/a/../x', ['x'], false],
  ['workspace/x', ['workspace', 'x'], false],
  ['%2e%2e/x', ['%2e%2e', 'x'], false],
  ['...', ['...'], false],
  ['..\\..\\x', ['..\\..\\x'], false],
  ['a\nb\u202Ec\u001B', ['a\nb\u202Ec\u001B'], false],
])('%j is %j', (text, names, directory) => {
  expect(parsePath(text)).toEqual({ names, directory });
});

test.each([
  '..',
  '../slot_1/s.txt',
  'a/../../x',
  'a/../../slot_0/x',
  '/etc/passwd',
  '//etc/passwd',
  '/',
  '/..',
  '/workspace/..',
  '/workspace/../etc/passwd',
  '/workspace/../workspace/x',
  '/workspacex',
  '/./etc',
  '/../workspace/x',
])('%j leads outside', (text) => {
  expect(() => parsePath(text)).toThrow(expect.objectContaining({ fault: 'PATH_OUTSIDE' }));
});

test.each([
  ['nothing', ''],
  ['a NUL', 'a\0b'],
  ['half a surrogate pair', 'a\uD800b'],
  ['a name of 256 bytes', 'x'.repeat(256)],
  ['a name of 255 characters and 510 bytes', 'é'.repeat(255)],
  ['a path of 5000 bytes', 'abcd/'.repeat(1000)],
])('%s is no path that a file can have', (_what, text) => {
  expect(() => parsePath(text)).toThrow(expect.objectContaining({ fault: 'INVALID_PARAMS' }));
});

test('no text of dots and slashes gives a name that leads up', () => {
  const text = fc.array(fc.constantFrom('..', '.', '/', 'a', '\\', 'workspace', '%2f', '…'), { maxLength: 20 });
  fc.assert(
    fc.property(text, (pieces) => {
      try {
        for (const name of parsePath(pieces.join('')).names) {
          if (name === '' || name === '.' || name === '..' || name.includes('/')) return false;
        }
        return true;
      } catch (error) {
        return error instanceof Fault;
      }
    }),
  );
});

test('a message shows control characters and turned text as escapes, and a long path cut', () => {
  expect(quote('a\u001B[2J\u202Eb"')).toBe('"a\\u{1b}[2J\\u{202e}b\\u{22}"');
  expect(quote('x'.repeat(5000)).length).toBeLessThan(250);
});
