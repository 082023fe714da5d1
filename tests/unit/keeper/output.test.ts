import fc from 'fast-check';
import { expect, test } from 'vitest';
import { OutputKeeper } from '../../../server/keeper/output.ts';

function keep(maxBytes: number, ...parts: string[]): { head: string; tail: string; total: number } {
  const keeper = new OutputKeeper(maxBytes);
  for (const part of parts) keeper.append(Buffer.from(part));
  const { head, tail, total } = keeper.kept();
  return { head: head.toString(), tail: tail.toString(), total };
}

test('keeps everything below the limit, head and tail meeting', () => {
  expect(keep(10, 'abc', 'defg')).toEqual({ head: 'abcde', tail: 'fg', total: 7 });
});

test('keeps the first and the last half above the limit and counts what was left out', () => {
  expect(keep(6, 'abcdef', 'ghij', 'k')).toEqual({ head: 'abc', tail: 'ijk', total: 11 });
});

test('keeps nothing with a limit of 0 but counts', () => {
  expect(keep(0, 'abc')).toEqual({ head: '', tail: '', total: 3 });
});

test('what was taken once does not change when more comes', () => {
  const keeper = new OutputKeeper(4);
  keeper.append(Buffer.from('abcd'));
  const before = keeper.kept();
  keeper.append(Buffer.from('efgh'));
  expect(Buffer.concat([before.head, before.tail]).toString()).toBe('abcd');
  expect(keeper.kept().tail.toString()).toBe('gh');
});

test('for any pieces head and tail are the ends of the whole', () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 9000 }), { maxLength: 12 });
  fc.assert(
    fc.property(pieces, fc.integer({ min: 0, max: 20_000 }), (parts, maxBytes) => {
      const keeper = new OutputKeeper(maxBytes);
      for (const part of parts) keeper.append(Buffer.from(part));
      const whole = Buffer.concat(parts);
      const { head, tail, total } = keeper.kept();
      expect(total).toBe(whole.length);
      expect(head.length + tail.length).toBe(Math.min(whole.length, maxBytes));
      expect(head.equals(whole.subarray(0, head.length))).toBe(true);
      expect(tail.equals(whole.subarray(whole.length - tail.length))).toBe(true);
    }),
    { numRuns: 60 },
  );
});
