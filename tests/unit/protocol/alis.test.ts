// ALiS: the bytes as the format has them, and as the player's own parser reads them.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ALIS_MAGIC, type AlisMessage, decodeAlis, encodeAlis } from '../../../protocol/alis.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test.each<[string, AlisMessage, string]>([
  ['magic', { kind: 'magic' }, '414c695301'],
  ['init', { kind: 'init', lastId: 5, timeUs: 300, cols: 80, rows: 24, screen: 'A' }, '0105ac0250180001' + '41'],
  ['empty init', { kind: 'init', lastId: 0, timeUs: 0, cols: 120, rows: 40, screen: '' }, '010000782800' + '00'],
  ['output', { kind: 'event', id: 128, dtUs: 0, code: 'o', data: 'é' }, '6f800100' + '02c3a9'],
  ['input', { kind: 'event', id: 1, dtUs: 1, code: 'i', data: '\r' }, '690101' + '010d'],
  ['resize', { kind: 'event', id: 1, dtUs: 1, code: 'r', data: '200x50' }, '720101' + 'c80132'],
  ['marker', { kind: 'event', id: 1, dtUs: 1, code: 'm', data: '' }, '6d0101' + '00'],
  ['exit', { kind: 'event', id: 1, dtUs: 1, code: 'x', data: '130' }, '780101' + '8201'],
  ['end', { kind: 'end', id: 9, dtUs: 2 }, '040902'],
])('%s has the bytes of the format, both ways', (_name, message, bytes) => {
  expect(hex(encodeAlis(message))).toBe(bytes);
  expect(decodeAlis(Buffer.from(bytes, 'hex'))).toEqual(message);
});

test('times beyond 32 bits are exact: a stream of days in microseconds', () => {
  const timeUs = 30 * 86_400 * 1_000_000 + 1;
  const init = encodeAlis({ kind: 'init', lastId: 2 ** 40, timeUs, cols: 80, rows: 24, screen: '' });
  expect(decodeAlis(init)).toMatchObject({ timeUs, lastId: 2 ** 40 });
});

test('a negative status or step becomes 0', () => {
  expect(hex(encodeAlis({ kind: 'event', id: 1, dtUs: -5, code: 'x', data: '-1' }))).toBe('78010000');
});

test.each(['', '02', '6f01', '6f010105', '0101', '7aff', 'ffffffffffffffffffff', '010000505007'])(
  'bytes %s are refused with a RangeError',
  (bytes) => {
    expect(() => decodeAlis(Buffer.from(bytes, 'hex'))).toThrow(RangeError);
  },
);

test("the player's own parser reads every message as it was meant", () => {
  const parse = playerParser();
  const feed = (message: AlisMessage): unknown => parse(new Uint8Array(encodeAlis(message)).buffer);
  const event = (code: 'o' | 'i' | 'r' | 'm' | 'x', data: string): AlisMessage => ({
    kind: 'event',
    id: 1,
    dtUs: 2000,
    code,
    data,
  });
  expect(feed({ kind: 'magic' })).toBeUndefined();
  const screen = '\u001b[1;31mrot 漢字\u001b[m';
  expect(feed({ kind: 'init', lastId: 3, timeUs: 5_000_000, cols: 120, rows: 40, screen })).toMatchObject({
    time: 5000,
    term: { size: { cols: 120, rows: 40 }, init: screen },
  });
  expect(feed(event('o', 'x\r\n'))).toEqual([5002, 'o', 'x\r\n']);
  expect(feed(event('i', '\u0003'))).toEqual([5004, 'i', '\u0003']);
  expect(feed(event('r', '200x50'))).toEqual([5006, 'r', { cols: 200, rows: 50 }]);
  expect(feed(event('m', 'make'))).toEqual([5008, 'm', { index: 0, time: 5.008, label: 'make' }]);
  expect(feed(event('x', '130'))).toEqual([5010, 'x', { status: 130 }]);
  expect(feed({ kind: 'init', lastId: 9, timeUs: 0, cols: 80, rows: 24, screen: '' })).toMatchObject({ time: 0 });
  expect(feed({ kind: 'end', id: 9, dtUs: 0 })).toBe(false);
});

test("any text comes out of the player's parser as it went in", () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.nat(), (data, dtUs) => {
      const parse = playerParser();
      parse(new Uint8Array(ALIS_MAGIC).buffer);
      parse(new Uint8Array(encodeAlis({ kind: 'init', lastId: 0, timeUs: 0, cols: 80, rows: 24, screen: '' })).buffer);
      const message: AlisMessage = { kind: 'event', id: 1, dtUs, code: 'o', data };
      const bytes = encodeAlis(message);
      expect(decodeAlis(bytes)).toEqual(message);
      // The player takes a byte order mark at the start of a message for one.
      fc.pre(!data.startsWith('\ufeff'));
      expect(parse(new Uint8Array(bytes).buffer)).toEqual([dtUs / 1000, 'o', data]);
    }),
  );
});

/** The parser as the pinned player ships it: it is not exported, so its source is cut out. */
function playerParser(): (message: ArrayBuffer) => unknown {
  const dist = dirname(fileURLToPath(import.meta.resolve('asciinema-player')));
  const core = readdirSync(dist).find((name) => /^core-.*\.js$/.test(name));
  const source = readFileSync(join(dist, core ?? ''), 'utf8');
  const start = source.indexOf('const ONE_MS_IN_USEC');
  const end = source.indexOf('function ascicastV2Handler');
  expect(start).toBeGreaterThan(0);
  expect(end).toBeGreaterThan(start);
  const logger = { debug() {} };
  return new Function('logger', `${source.slice(start, end)}; return alisHandler(logger);`)(logger);
}
