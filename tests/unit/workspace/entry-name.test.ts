// Names inside archives: nothing that an unpacker takes for a way up, a drive or a separator.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { entryName } from '../../../server/workspace/entry-name.ts';

const bytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

test.each([
  ['a/b.txt', 'a/b.txt'],
  ['é/漢.txt', 'é/漢.txt'],
  ['..\\..\\x', '..%5C..%5Cx'],
  ['C:x', 'C%3Ax'],
  ['note:1', 'note%3A1'],
  ['a/C:x', 'a/C:x'],
  ['line\nbreak\u001B', 'line\nbreak\u001B'],
])('%j is packed as %j', (name, packed) => {
  expect(entryName(bytes(name))).toBe(packed);
});

test('a byte that is no UTF-8 becomes %XX and its neighbours stay', () => {
  expect(entryName(`${bytes('é')}\xE9${bytes('漢')}\xFF`)).toBe('é%E9漢%FF');
});

test('whatever the bytes of the names, no piece is a way up and no name begins at a root or drive', () => {
  const name = fc
    .uint8Array({ minLength: 1, maxLength: 12 })
    .map((raw) => Buffer.from(raw).toString('latin1').replace(/[\0/]/g, 'x'))
    .filter((text) => text !== '.' && text !== '..');
  fc.assert(
    fc.property(fc.array(name, { minLength: 1, maxLength: 4 }), (names) => {
      const packed = entryName(names.join('/'));
      return packed.split('/').length === names.length && !/^\/|^\w+:|\\|(^|\/)\.\.?(\/|$)/.test(packed);
    }),
  );
});
