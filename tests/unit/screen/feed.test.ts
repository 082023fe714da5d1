import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { NumberedFrame } from '../../../protocol/frame.ts';
import { Emulator } from '../../../server/screen/emulator.ts';
import { worthFeeding } from '../../../server/screen/feed.ts';

const SIZE = { cols: 20, rows: 6, scrollback: 10 };

function frames(texts: readonly string[]): NumberedFrame[] {
  return texts.map((data, index) => ({ seq: index + 1, timeMs: index, code: data === 'mark' ? 'm' : 'o', data }));
}

/** Feeds what is worth it; gives how many characters that were. */
function feedWorth(emulator: Emulator, given: readonly NumberedFrame[]): number {
  let fed = 0;
  for (const frame of worthFeeding(emulator, given)) {
    emulator.feed(frame);
    fed += frame.data.length;
  }
  return fed;
}

const seen = (emulator: Emulator) => [emulator.ansi(100), emulator.cursor, emulator.snapshot(100), emulator.modes];

test.each(['line', '\x1b[32mline\x1b[0m of'])('of a flood of %j only the last lines are parsed', (line) => {
  const lines = frames(Array.from({ length: 1000 }, (_, number) => `${line} ${number}\r\n`.repeat(10)));
  const emulator = new Emulator(SIZE);
  expect(feedWorth(emulator, lines)).toBeLessThan(1000);
  const straight = new Emulator(SIZE);
  for (const frame of lines) straight.feed(frame);
  expect(seen(emulator)).toEqual(seen(straight));
});

const line = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.constantFrom('short\r\n', `${'long '.repeat(9)}\r\n`, '\r\n', 'tab\tbed\r\n', '日本\r\n'),
  },
  {
    weight: 8,
    arbitrary: fc.constantFrom(
      '\x1b[31m',
      '\x1b[0m',
      '\x1b[m',
      '\x1b[1;4mbold\r\n',
      '\x1b[0;44mblue\r\n',
      '\x1b[38;5;99m',
      '\x1b[;7m',
    ),
  },
  { weight: 2, arbitrary: fc.constantFrom('no end', '\n', 'only a line feed\n', 'over\rwritten\r\n', 'mark') },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      '\x1b[2;5r',
      '\x1b[r',
      '\x1b[?1049h',
      '\x1b[?1049l',
      '\x1b[4h',
      '\x1b[?7l',
      '\x1b[3',
      '\x1b[H',
      '\x1b[44m',
    ),
  },
);

test('leaving out what cannot be seen changes nothing, whatever stands before, in and after the flood', () => {
  fc.assert(
    fc.property(fc.array(fc.array(line, { maxLength: 40 }), { maxLength: 12 }), fc.array(line), (pieces, after) => {
      const given = frames([
        ...pieces.flatMap((piece) => (piece.includes('mark') ? piece : [piece.join('')])),
        '\x1b[m',
        ...after,
      ]);
      const straight = new Emulator(SIZE);
      for (const frame of given) straight.feed(frame);
      const short = new Emulator(SIZE);
      feedWorth(short, given);
      expect(seen(short)).toEqual(seen(straight));
    }),
    { numRuns: 500 },
  );
});
