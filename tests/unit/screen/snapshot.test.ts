import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { Emulator } from '../../../server/screen/emulator.ts';
import { drawn, playerVt } from './player-vt.ts';
import { COLS, programs, ROWS, record } from './recorded.ts';

const SIZE = { cols: COLS, rows: ROWS };

/** Everything about a screen that can be seen or that changes what comes next. */
function seen(emulator: Emulator): unknown {
  const { cursor, title, modes, cols, rows } = emulator;
  // A cursor that waits behind the last column can only be put there by printing into it: a cell that was never printed to becomes a blank.
  const shown = (text: string): string => (cursor.col === cols - 1 ? text.replace(BLANK_END, '') : text);
  return { lines: shown(emulator.ansi()), text: shown(emulator.text()), cursor, title, modes, cols, rows };
}

const BLANK_END = /(?: |\x1b\[[\d;:]*m)+$/gm;

function written(size: { cols: number; rows: number }, ...texts: string[]): Emulator {
  const emulator = new Emulator(size);
  for (const text of texts) emulator.write(text);
  return emulator;
}

const endsInHalf = (text: string): boolean => /[\ud800-\udbff]$/.test(text);

describe.each(Object.keys(programs))('a recording of %s', (name) => {
  let output = '';

  beforeAll(async () => {
    output = await record(programs[name] ?? { argv: ['true'], keys: [] });
  });

  test('gives the same screen at every offset, and at the end, when it goes on from a snapshot', () => {
    expect(output.length).toBeGreaterThan(500);
    const straight = new Emulator(SIZE);
    const end = seen(written(SIZE, output));
    for (let cut = 0; cut < output.length; cut++) {
      if (!endsInHalf(output.slice(0, cut))) {
        const resumed = written(SIZE, straight.snapshot());
        expect(seen(resumed), `at ${cut}`).toEqual(seen(straight));
        // Every third: no sequence is so short that all its parts would be missed.
        if (cut % 3 === 0) {
          resumed.write(output.slice(cut));
          expect(seen(resumed), `from ${cut} on`).toEqual(end);
        }
        resumed.close();
      }
      straight.write(output[cut] ?? '');
    }
  });

  test("looks the same in the player's own emulator", async () => {
    const straight = new Emulator(SIZE);
    const viewer = await playerVt(COLS, ROWS);
    const whole = await playerVt(COLS, ROWS);
    whole.feed(output);
    const end = drawn(whole, ROWS);
    // Every 7th offset: prime to the length of usual sequences, so that all their parts are hit.
    for (let cut = 0; cut < output.length; cut++) {
      if (cut % 7 === 0) {
        const late = await playerVt(COLS, ROWS);
        late.feed(straight.snapshot());
        expect(drawn(late, ROWS), `at ${cut}`).toBe(drawn(viewer, ROWS));
        late.feed(output.slice(cut));
        expect(drawn(late, ROWS), `from ${cut} on`).toBe(end);
      }
      const next = String.fromCodePoint(output.codePointAt(cut) ?? 0);
      cut += next.length - 1;
      straight.write(next);
      viewer.feed(next);
    }
  });
});

const text = {
  narrow: fc.constantFrom(
    'word ',
    'abcdefghijklmnopqrstuvwxyz',
    'e\u0301',
    'x',
    '\x1b[2@',
    '\x1b[2P',
    '\x1b[4h',
    '\x1b[4l',
  ),
  // Never with an insertion: in the middle of a wide character xterm leaves half of one, a column that no text shows.
  wide: fc.constantFrom('word ', 'abcdefghijklmnopqrstuvwxyz', '日本語', '😀', 'e\u0301', 'x'),
};

const control = fc.oneof(
  fc.constantFrom('\r\n', '\n', '\r', '\t', '\b', '\x0e', '\x0f'),
  fc
    .constantFrom('0', '1', '4', '7', '31', '44', '22', '39', '49', '38;5;200', '48;2;9;8;7', '4:3')
    .map((sgr) => `\x1b[${sgr}m`),
  fc.tuple(fc.nat(8), fc.nat(22)).map(([row, col]) => `\x1b[${row};${col}H`),
  fc
    .constantFrom('J', '1J', '2J', 'K', '1K', '2K', '3X', 'L', 'M', 'S', 'T', '2b', 'Z', '3C')
    .map((csi) => `\x1b[${csi}`),
  fc.constantFrom('\x1b[2;4r', '\x1b[r', '\x1b7', '\x1b8', '\x1bM', '\x1bD', '\x1bH', '\x1b[3g'),
  fc
    .tuple(fc.constantFrom(1, 6, 7, 25, 1000, 1002, 1006, 1015, 1016, 2004, 1049), fc.constantFrom('h', 'l'))
    .map(([mode, set]) => `\x1b[?${mode}${set}`),
  fc.constantFrom('\x1b]2;title\x07', '\x1b]0;other\x1b\\', '\x1b[2 q', '\x1bP$qm\x1b\\', '\x1b[!p'),
);

test.each(['narrow', 'wide'] as const)(
  'a snapshot between any two characters of any %s output stands for all of it, whatever follows',
  (kind) => {
    const token = fc.oneof({ weight: 1, arbitrary: text[kind] }, { weight: 5, arbitrary: control });
    const size = { cols: 20, rows: 6 };
    fc.assert(
      fc.property(
        fc.array(token, { maxLength: 25 }),
        fc.array(token, { maxLength: 12 }),
        fc.nat(),
        (past, future, where) => {
          const all = [...past, ...future].join('');
          const cut = Math.min(all.length, past.join('').length + (where % 3));
          if (endsInHalf(all.slice(0, cut))) return;
          const straight = written(size, all.slice(0, cut));
          const resumed = written(size, straight.snapshot());
          expect(seen(resumed)).toEqual(seen(straight));
          for (const emulator of [straight, resumed]) emulator.write(all.slice(cut));
          expect(seen(resumed)).toEqual(seen(straight));
          for (const emulator of [straight, resumed]) emulator.close();
        },
      ),
      { numRuns: 400, examples: [[['\x1b[2;0H', 'word ', '\x1b[0;20H', 'x', '\x1b[S'], [], 0]] },
    );
  },
);

test.each([
  ['a hidden cursor', '\x1b[?25l', 'abc'],
  ['margins', '\x1b[2;4r\x1b[4;1H', 'one\r\ntwo\r\nthree'],
  ['the drawing characters', '\x1b(0', 'lqqk'],
  ['a cursor behind the last column', 'x'.repeat(20), 'y'],
  ['a cursor behind the last column after a change of colour', `${'x'.repeat(20)}\x1b[31m`, 'y'],
  ['a cursor behind a row that was erased', `${'x'.repeat(20)}\x1b[2K`, 'y'],
  ['a letter that an accent follows', 'cafe', '\u0301'],
  ['a letter that is repeated', '-', '\x1b[5b'],
  ['insert mode', 'abc\r\x1b[4hx', 'yz'],
  ['a background over the whole screen', '\x1b[44m\x1b[2J', 'x'],
  ['the main screen below a full-screen program', 'main\x1b[31m\x1b[?1049h\x1b[Hfull', '\x1b[?1049l!'],
  ['what ESC 7 saved', '\x1b[3;5H\x1b[32m\x1b7\x1b[H\x1b[0m', '\x1b8x'],
  ['tab stops', '\x1b[3g\x1b[1;4H\x1bH\r', '\tx'],
  ['a title', '\x1b]2;name\x07', ''],
  ['application cursor keys and the mouse', '\x1b[?1h\x1b[?1002h\x1b[?1006h', ''],
])('a snapshot keeps %s', (_what, before, after) => {
  const size = { cols: 20, rows: 6 };
  const straight = written(size, before);
  const resumed = written(size, straight.snapshot());
  expect(seen(resumed)).toEqual(seen(straight));
  straight.write(after);
  resumed.write(after);
  expect(seen(resumed)).toEqual(seen(straight));
});

test.each([1006, 1015, 1016])('a snapshot tells viewers of mouse encoding %i', (mode) => {
  const emulator = written({ cols: 20, rows: 6 }, `\x1b[?${mode}h`);
  expect(emulator.snapshot()).toContain(`\x1b[?${mode}h`);
  emulator.write(`\x1b[?${mode}l`);
  expect(emulator.snapshot()).not.toContain(`\x1b[?${mode}h`);
});

test('an unfinished sequence follows the snapshot, without the line feed inside of it that was carried out already', () => {
  const emulator = written({ cols: 20, rows: 6 }, 'a\x1b[3\n1');
  expect(emulator.snapshot().endsWith('\x1b[31')).toBe(true);
  emulator.write('mred');
  expect(emulator.ansi()).toBe('a\n \x1b[0;31mred\x1b[0m');
});

test('a sequence that never ends does not make the snapshot grow with the output', () => {
  const emulator = written({ cols: 20, rows: 6 }, '\x1b]2;', ...Array.from({ length: 100 }, () => 'x'.repeat(10_000)));
  expect(emulator.snapshot().length).toBeLessThan(10_000);
});

test('lines that wrapped are one line again after a resize of the copy, too', () => {
  const straight = written({ cols: 20, rows: 6 }, `${'word '.repeat(9)}\r\n$ `);
  const resumed = written({ cols: 20, rows: 6 }, straight.snapshot());
  for (const emulator of [straight, resumed]) emulator.resize(60, 6);
  expect(resumed.text()).toBe(straight.text());
  expect(resumed.text().split('\n')[0]).toBe('word '.repeat(9));
});

test('a snapshot with history brings the lines above the screen back', () => {
  const options = { cols: 20, rows: 6, scrollback: 100 };
  const lines = Array.from({ length: 50 }, (_, line) => `\x1b[4${line % 8}mline ${line}\x1b[0m ${'.'.repeat(line)}`);
  const straight = new Emulator(options);
  straight.write(lines.join('\r\n'));
  const resumed = new Emulator(options);
  resumed.write(straight.snapshot(100));
  expect(resumed.ansi(100)).toBe(straight.ansi(100));
  expect(resumed.cursor).toEqual(straight.cursor);
});

test('a title has no control characters and nothing that turns text around', () => {
  const emulator = written({ cols: 20, rows: 6 }, '\x1b]0;a\u202eb\u200fc\x07');
  expect(emulator.title).toBe('abc');
});
