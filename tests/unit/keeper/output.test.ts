import fc from 'fast-check';
import { expect, test } from 'vitest';
import { OutputBudget, OutputKeeper } from '../../../server/keeper/output.ts';

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

const MIB = 1024 * 1024;

test('keepers that share a budget keep no more than it together, and each its head and its tail', () => {
  const budget = new OutputBudget(4 * MIB);
  const keepers = Array.from({ length: 8 }, () => new OutputKeeper(64 * MIB, budget));
  const piece = Buffer.alloc(64 * 1024);
  for (let count = 0; count < 64; count++) {
    piece.fill(count);
    for (const keeper of keepers) keeper.append(piece);
  }
  const kept = keepers.map((keeper) => keeper.kept());
  const bytes = kept.reduce((sum, { head, tail }) => sum + head.length + tail.length, 0);
  expect(bytes).toBeLessThanOrEqual(4 * MIB + 8 * MIB);
  expect(kept.map(({ total }) => total)).toEqual(Array(8).fill(4 * MIB));
  for (const { head, tail } of kept) expect([head[0], tail.at(-1)]).toEqual([0, 63]);
});

test('what a keeper took of a budget is there for others when it has ended', () => {
  const budget = new OutputBudget(2 * MIB);
  const flood = Buffer.alloc(4 * MIB, 'a');
  const first = new OutputKeeper(3 * MIB, budget);
  first.append(flood);
  first.end();
  const second = new OutputKeeper(3 * MIB, budget);
  second.append(flood);
  const { head, tail } = second.kept();
  expect(head.length + tail.length).toBe(3 * MIB);
});

test('head and tail stay true to the stream when the budget runs out, however it is cut', () => {
  const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 9000 }), { minLength: 1, maxLength: 300 });
  fc.assert(
    fc.property(pieces, fc.integer({ min: 0, max: MIB }), (parts, bytes) => {
      const keeper = new OutputKeeper(8 * MIB, new OutputBudget(bytes));
      for (const part of parts) keeper.append(Buffer.from(part));
      const whole = Buffer.concat(parts);
      const { head, tail, total } = keeper.kept();
      expect(total).toBe(whole.length);
      expect(head.equals(whole.subarray(0, head.length))).toBe(true);
      expect(tail.equals(whole.subarray(whole.length - tail.length))).toBe(true);
      expect(head.length + tail.length).toBeLessThanOrEqual(whole.length);
    }),
    { numRuns: 30 },
  );
});
