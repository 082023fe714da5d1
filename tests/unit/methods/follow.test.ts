import fc from 'fast-check';
import { expect, test } from 'vitest';
import { wholeCharacters } from '../../../server/keeper/output.ts';

test('text cut at any byte joins up to the same text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat(), (text, place) => {
      const bytes = Buffer.from(text.toWellFormed());
      const cut = bytes.length === 0 ? 0 : place % (bytes.length + 1);
      const whole = wholeCharacters(bytes.subarray(0, cut));
      expect(cut - whole).toBeLessThan(4);
      expect(bytes.toString('utf8', 0, whole) + bytes.toString('utf8', whole)).toBe(bytes.toString('utf8'));
    }),
  );
});

test('bytes that are no UTF-8 are not held back', () => {
  expect(wholeCharacters(Buffer.from([0xff]))).toBe(1);
  expect(wholeCharacters(Buffer.from([0x80, 0x80, 0x80, 0x80]))).toBe(4);
  expect(wholeCharacters(Buffer.from([0xe6, 0xbc]))).toBe(0);
});
