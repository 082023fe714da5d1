// The screen under damaged output of real programs and any escape sequences: nothing throws, hangs or grows, and what a viewer is given
// to start with shows what is there.
import { existsSync } from 'node:fs';
import xterm from '@xterm/headless';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { boundCounts } from '../../protocol/sequence-count.ts';
import { Emulator } from '../../server/screen/emulator.ts';
import { OutputScan } from '../../server/screen/output-scan.ts';
import { COLS, type Program, programs, ROWS, record } from '../unit/screen/recorded.ts';
import { asked, timeout } from './fuzz.ts';
import { damage, pieces } from './mutation.ts';

const SIZE = { cols: COLS, rows: ROWS };
/** A cell has at most its colours, 16 marks and a move to it; there are two screens. */
const MAX_CELL_CHARS = 120;
/** Of one output of a few thousand characters; milliseconds when nothing is wrong. */
const BOUND_MS = 5000;

const more: Readonly<Record<string, Program>> = {
  htop: { argv: ['htop', '-d', '2'], keys: [{ after: /F\d|PID|Help/, type: 'q' }] },
  ls: { argv: ['ls', '-la', '--color=always', '/etc'], keys: [] },
  bash: {
    argv: ['bash', '--norc', '-i'],
    keys: [
      { after: /[$#] $/, type: 'echo é日本; ls --color=always /\r' },
      { after: /[$#] $/, type: 'exit\r' },
    ],
  },
};

let outputs: readonly Buffer[] = [];
beforeAll(async () => {
  const installed = Object.values({ ...programs, ...more }).filter(({ argv: [file] }) =>
    existsSync(`/usr/bin/${file}`),
  );
  outputs = (await Promise.all(installed.map(record))).map((text) => Buffer.from(text.slice(0, 20_000)));
  expect(outputs.length).toBeGreaterThan(1);
});

const number = fc.oneof(fc.nat(30), fc.constantFrom(0, 65535, 2147483647, 4294967295, 99999999999));
const parameters = fc
  .array(fc.tuple(number, fc.constantFrom(';', ':', '')), { maxLength: 4 })
  .map((all) => all.map(([value, after]) => `${value}${after}`).join(''));
const csi = fc
  .tuple(
    fc.constantFrom('', '?', '>', '<', '=', '!'),
    parameters,
    fc.constantFrom('', ' ', '$', "'", '"', '*'),
    fc.integer({ min: 0x40, max: 0x7e }),
  )
  .map(([prefix, given, between, final]) => `\x1b[${prefix}${given}${between}${String.fromCharCode(final)}`);
const osc = fc
  .tuple(
    fc.constantFrom('0', '2', '4', '8', '10', '11', '52', '104', '133', '1337', '7', '99999'),
    fc.string(),
    fc.constantFrom('\x07', '\x1b\\', '\x9c', ''),
  )
  .map(([code, text, end]) => `\x1b]${code};${text}${end}`);
const esc = fc
  .tuple(fc.constantFrom('', '#', '(', ')', '*', '+', '%', ' '), fc.integer({ min: 0x20, max: 0x7e }))
  .map(([between, final]) => `\x1b${between}${String.fromCharCode(final)}`);
const dcs = fc
  .tuple(fc.constantFrom('P', '_', '^', 'X'), fc.string())
  .map(([kind, text]) => `\x1b${kind}${text}\x1b\\`);
const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom(
    '日本語',
    '😀',
    'e\u0301',
    '\u0301'.repeat(500),
    '\ud83d',
    '\u202e',
    '\x9b5A',
    '\t',
    '\x0e',
    '\r\n',
    'word '.repeat(20),
  ),
);
const noise = fc
  .array(fc.oneof({ weight: 4, arbitrary: csi }, osc, esc, dcs, { weight: 2, arbitrary: anyText }), { maxLength: 25 })
  .map((all) => all.join(''));

/** Damaged output of a real program, with noise somewhere in it. */
const output = (): fc.Arbitrary<string> => {
  const damaged = fc
    .tuple(fc.constantFrom(...outputs), damage(outputs), fc.double({ min: 0, max: 1, noNaN: true }))
    .map(([bytes, change, where]) => {
      const start = Math.floor(where * bytes.length);
      return change(bytes.subarray(start, start + 4000)).toString();
    });
  return fc.oneof(
    damaged,
    noise,
    fc.tuple(damaged, noise, damaged).map((all) => all.join('')),
  );
};

test('any output is shown within bounds of time and size, and can be captured, drawn anew and resized', {
  timeout,
}, () => {
  fc.assert(
    fc.property(output(), output(), fc.nat(400), fc.nat(100), (before, after, cols, rows) => {
      const startMs = performance.now();
      let replies = 0;
      const onReply = (data: string): void => {
        replies += data.length;
      };
      const emulator = new Emulator({ ...SIZE, scrollback: 100, onReply });
      emulator.write(before);
      for (const history of [0, 50]) {
        const cells = COLS * (ROWS + history) * 2;
        expect(emulator.snapshot(history).length).toBeLessThan(cells * MAX_CELL_CHARS);
        emulator.text(history);
        emulator.ansi(history);
      }
      expect(emulator.title).toMatch(/^[^\p{Cc}\p{Bidi_Control}\p{Surrogate}]{0,500}$/u);
      const { col, row } = emulator.cursor;
      expect(col >= 0 && col < COLS && row >= 0 && row < ROWS).toBe(true);
      emulator.resize(cols, rows);
      emulator.feed({ code: 'r', data: after.slice(0, 12) });
      emulator.write(after);
      emulator.takeLines(false);
      new Emulator(SIZE).restore(emulator.snapshot());
      // A query of a few characters is not answered by more than a line.
      expect(replies).toBeLessThanOrEqual(40 * (before.length + after.length) + 200);
      emulator.close();
      expect(performance.now() - startMs).toBeLessThan(BOUND_MS);
    }),
    asked(150),
  );
});

/** What stands on the screen, and what would come next: also by an emulator that is none of ours. */
function plain(text: string): Promise<string> {
  const terminal = new xterm.Terminal({ ...SIZE, scrollback: 0, allowProposedApi: true, logLevel: 'off' });
  boundCounts(terminal);
  return new Promise((resolve) => {
    terminal.write(text, () => {
      const { active } = terminal.buffer;
      const lines = Array.from({ length: ROWS }, (_, row) =>
        active.getLine(active.baseY + row)?.translateToString(true),
      );
      const { cursorX, cursorY, type } = active;
      terminal.dispose();
      resolve(
        JSON.stringify({
          lines: lines.map((line) => line?.trimEnd()),
          col: Math.min(cursorX, COLS - 1),
          cursorY,
          type,
        }),
      );
    });
  });
}

test('a late viewer with a plain xterm sees the same text and cursor of damaged plain output as one from the beginning', {
  timeout,
}, async () => {
  // Characters of other widths are the business of the emulator's own tests: xterm counts some otherwise.
  const ascii = output().map((text) => text.replaceAll(/[^\0-\x7e]/g, 'x'));
  await fc.assert(
    fc.asyncProperty(ascii, async (text) => {
      const emulator = new Emulator(SIZE);
      emulator.write(text);
      const late = await plain(emulator.snapshot());
      emulator.close();
      expect(late).toBe(await plain(text));
    }),
    asked(120),
  );
});

test('title and alternate screen are told alike however the output is cut', { timeout }, () => {
  fc.assert(
    fc.property(output(), fc.array(fc.nat(), { maxLength: 8 }), (text, cuts) => {
      // A sequence of more than a thousand characters is given up.
      fc.pre(!/\x1b[P\]][^\x07\x1b]{500}/.test(text));
      const [whole, cut] = [new OutputScan(), new OutputScan()];
      const asks = whole.take(text);
      let cutAsks = false;
      let at = 0;
      for (const { length } of pieces(new Uint8Array(text.length), cuts)) {
        if (cut.take(text.slice(at, at + length))) cutAsks = true;
        at += length;
      }
      expect([cut.title, cut.alternateScreen, cutAsks]).toEqual([whole.title, whole.alternateScreen, asks]);
    }),
    asked(400),
  );
});
