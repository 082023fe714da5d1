import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Mark, MarkScanner, type Piece } from '../../../server/terminal/mark.ts';

const K = 'k=abc123';

/** Neighbouring texts joined. */
function scanned(chunks: readonly string[]): Piece[] {
  const scanner = new MarkScanner('abc123');
  const joined: Piece[] = [];
  for (const piece of [...chunks.flatMap((chunk) => scanner.scan(chunk)), scanner.flush()]) {
    const last = joined.at(-1);
    if (typeof piece === 'string' && typeof last === 'string') joined[joined.length - 1] = last + piece;
    else if (piece !== '') joined.push(piece);
  }
  return joined;
}

const marks: readonly (readonly [string, Mark])[] = [
  [`A;${K}`, { kind: 'promptStart', status: null, options: null }],
  [`A;s=130;o=himBHs;${K}`, { kind: 'promptStart', status: 130, options: 'himBHs' }],
  [`B;${K}`, { kind: 'promptEnd', continuation: false }],
  [`B;c=2;${K}`, { kind: 'promptEnd', continuation: true }],
  [`C;${K}`, { kind: 'outputStart', run: null }],
  [`C;r=12;${K}`, { kind: 'outputStart', run: '12' }],
  [`D;0;${K}`, { kind: 'finished', status: 0, cwd: null }],
  [`D;1;cwd=/a%3Bb%25%0A;${K}`, { kind: 'finished', status: 1, cwd: '/a;b%\n' }],
  [`D;x;cwd=/é%;${K}`, { kind: 'finished', status: null, cwd: '/é%' }],
];

test.each(marks)('%s is read', (body, mark) => {
  for (const end of ['\x07', '\x1b\\']) {
    expect(scanned([`before\x1b]133;${body}${end}after`])).toEqual(['before', mark, 'after']);
  }
});

test.each(['D;0', 'D;0;k=wrong', 'D;0;k=abc1234', `D;0;${K};x`, `E;${K}`, `;${K}`, ''])('a mark %j is text', (body) => {
  const text = `before\x1b]133;${body}\x07after`;
  expect(scanned([text])).toEqual([text]);
});

test('a mark inside of a sequence that was broken off is found', () => {
  const broken = `\x1b]133;D;0;${K}`;
  for (const breaks of ['\x18', '\x1a', '\x1b[m']) {
    expect(scanned([`${broken}${breaks}\x1b]133;A;${K}\x07`])).toEqual([
      `${broken}${breaks}`,
      { kind: 'promptStart', status: null, options: null },
    ]);
  }
});

test('a sequence that never ends is let go as text before it costs memory', () => {
  const scanner = new MarkScanner('abc123');
  let given = 0;
  for (let index = 0; index < 100; index++) {
    const pieces = scanner.scan(index === 0 ? '\x1b]133;D;' : 'x'.repeat(1000));
    given += pieces.reduce((sum, piece) => sum + (typeof piece === 'string' ? piece.length : 0), 0);
  }
  expect(given).toBeGreaterThan(80_000);
});

test('text without marks passes through as it came', () => {
  const chunk = 'plain \x1b[31mred\x1b[0m text\r\n';
  expect(new MarkScanner('abc123').scan(chunk)).toEqual([chunk]);
});

const part = fc.oneof(
  fc.constantFrom(
    '\x1b',
    '\x1b]',
    '\x1b]133;',
    '\x1b]13',
    '\x07',
    '\x1b\\',
    '\x18',
    'D;0',
    ';',
    K,
    'text',
    '\x1b]0;title\x07',
  ),
  fc.constantFrom(...marks.map(([body]) => `\x1b]133;${body}\x07`)),
);

test('wherever the output is cut, the same pieces come out', () => {
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), fc.array(fc.nat(200), { maxLength: 8 }), (parts, cuts) => {
      const text = parts.join('');
      const places = [0, ...cuts.filter((cut) => cut < text.length).sort((a, b) => a - b), text.length];
      const chunks = places.slice(1).map((place, index) => text.slice(places[index], place));
      expect(scanned(chunks)).toEqual(scanned([text]));
    }),
    { numRuns: 2000 },
  );
});
