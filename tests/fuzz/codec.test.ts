// ALiS and asciicast from anywhere: what was encoded comes back, and whatever else comes is a message or the one error that is promised.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type AlisMessage, decodeAlis, encodeAlis } from '../../protocol/alis.ts';
import { CastDecoder, CastError, type CastItem } from '../../protocol/asciicast.ts';
import { V2Converter } from '../../protocol/asciicast-v2.ts';
import { asked, timeout } from './fuzz.ts';
import { damage, pieces } from './mutation.ts';

const count = fc.oneof(fc.nat(300), fc.maxSafeNat());
const text = fc.string({ unit: 'binary', maxLength: 40 });
const message: fc.Arbitrary<AlisMessage> = fc.oneof(
  fc.constant({ kind: 'magic' } as const),
  fc.record({ kind: fc.constant('init'), lastId: count, timeUs: count, cols: count, rows: count, screen: text }),
  fc.record({ kind: fc.constant('event'), id: count, dtUs: count, code: fc.constantFrom('o', 'i', 'm'), data: text }),
  fc.record({
    kind: fc.constant('event'),
    id: count,
    dtUs: count,
    code: fc.constant('r'),
    data: fc.tuple(count, count).map(([cols, rows]) => `${cols}x${rows}`),
  }),
  fc.record({ kind: fc.constant('event'), id: count, dtUs: count, code: fc.constant('x'), data: count.map(String) }),
  fc.record({ kind: fc.constant('end'), id: count, dtUs: count }),
);

/** The message, or null for the RangeError that is promised. */
function decoded(bytes: Uint8Array): AlisMessage | null {
  try {
    return decodeAlis(bytes);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

test('every ALiS message comes back as it was, and no part of it from the beginning is a message', { timeout }, () => {
  fc.assert(
    fc.property(message, fc.nat(), (given, length) => {
      const bytes = encodeAlis(given);
      expect(decodeAlis(bytes)).toEqual(given);
      expect(decoded(bytes.subarray(0, length % bytes.length))).toBeNull();
    }),
    asked(500),
  );
});

test('any bytes are an ALiS message, which means the same when it is encoded again, or a RangeError', {
  timeout,
}, () => {
  const damaged = fc.tuple(message, damage()).map(([given, change]) => change(Buffer.from(encodeAlis(given))));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 40 }), damaged), (bytes) => {
      const given = decoded(bytes);
      if (given !== null) expect(decodeAlis(encodeAlis(given))).toEqual(given);
    }),
    asked(2000),
  );
});

const CAST = Buffer.from(
  `${[
    '{"version":3,"term":{"cols":80,"rows":24,"type":"xterm"},"timestamp":1700000000,"title":"é😀","env":{"SHELL":"/bin/bash"},' +
      '"slotcast":{"cast":"cast_1","slot":"slot_0","label":null,"startedAt":1700000000123}}',
    '[0.248, "o", "hello \\u001b[31mé😀\\r\\n"]',
    '# a comment',
    '[1.001, "r", "90x30"]',
    '',
    '[0.000, "m", "p1 $ make"]',
    '# slotcast gap {"from":4,"to":9}',
    '[2.5, "z", {"a":1}]',
    '[0.004, "i", "x"]',
    '[0.100, "x", "0"]',
    '# slotcast end {"duration":3.9,"frames":10,"commands":1}',
  ].join('\n')}\n`,
);
const V2 = Buffer.from(
  '{"version":2,"width":80,"height":24,"env":{"TERM":"xterm"}}\n[1.5, "o", "a"]\n[1.25, "o", "b"]\n[3, "m", ""]\n',
);

interface Read {
  readonly items: readonly CastItem[];
  readonly error: CastError | null;
  readonly offset: number;
}

function read(parts: readonly Uint8Array[]): Read {
  const decoder = new CastDecoder();
  const items: CastItem[] = [];
  try {
    for (const part of parts) for (const item of decoder.decode(part)) items.push(item);
  } catch (error) {
    if (!(error instanceof CastError)) throw error;
    return { items, error, offset: decoder.offset };
  }
  return { items, error: null, offset: decoder.offset };
}

const cast = fc
  .tuple(fc.constantFrom(CAST, V2), damage([CAST, V2]))
  .map(([bytes, change]): Buffer => change(Buffer.from(bytes)));

test.each([
  ['v3', CAST],
  ['v2', V2],
])('a whole %s file is read alike, cut at any byte', (_version, bytes) => {
  const whole = read([bytes]);
  expect(whole.error).toBeNull();
  for (let at = 0; at <= bytes.length; at++) expect(read([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(whole);
});

test('a damaged cast is read alike however it is cut into pieces, and its error names the same line', {
  timeout,
}, () => {
  fc.assert(
    fc.property(cast, fc.array(fc.nat(), { maxLength: 8 }), (bytes, cuts) => {
      const whole = read([bytes]);
      const cut = read(pieces(bytes, cuts));
      expect(cut).toEqual(whole);
      const { error } = whole;
      if (error === null) return;
      // The line that it names begins where it says, and is the first that is not given out.
      expect(bytes.subarray(0, error.offset).filter((byte) => byte === 10)).toHaveLength(error.line - 1);
      expect(error.offset === 0 || bytes[error.offset - 1] === 10).toBe(true);
    }),
    asked(1500),
  );
});

test('whatever numbers a damaged cast has, times and numbers of frames stay finite and never go back', {
  timeout,
}, () => {
  fc.assert(
    fc.property(cast, (bytes) => {
      let [timeMs, seq, end] = [0, 0, 0];
      for (const item of read([bytes]).items) {
        expect(item.start).toBeGreaterThanOrEqual(end);
        end = item.end;
        if (item.kind === 'header') {
          for (const size of [item.header.cols, item.header.rows]) expect(Number.isSafeInteger(size)).toBe(true);
          const moments = [item.header.timestamp ?? 0, item.header.slotcast?.startedAt ?? 0];
          for (const moment of moments) expect(Number.isFinite(moment * 1000)).toBe(true);
        }
        if (item.kind === 'gap') expect(Number.isSafeInteger(item.gap.to - item.gap.from)).toBe(true);
        if (item.kind === 'seal') {
          const { duration, frames, commands } = item.seal;
          expect(duration).toBeGreaterThanOrEqual(0);
          expect(Number.isFinite(duration * 1000)).toBe(true);
          for (const number of [frames, commands]) expect(Number.isSafeInteger(number) && number >= 0).toBe(true);
        }
        if (item.kind !== 'event') continue;
        expect(item.timeMs).toBeGreaterThanOrEqual(timeMs);
        expect(item.seq).toBeGreaterThanOrEqual(seq);
        expect(Number.isSafeInteger(item.timeMs) && Number.isSafeInteger(item.seq)).toBe(true);
        ({ timeMs, seq } = item);
      }
    }),
    asked(3000),
  );
});

test('a damaged cast is converted to v2 that reads as what it has, or is a CastError', { timeout }, () => {
  fc.assert(
    fc.property(cast, (bytes) => {
      const converter = new V2Converter();
      try {
        const text = converter.convert(bytes);
        const known = read([bytes]).items.filter((item) => item.kind === 'event' && 'oirm'.includes(item.code));
        const again = read([Buffer.from(text)]);
        expect(again.error).toBeNull();
        expect(again.items.filter((item) => item.kind === 'event')).toHaveLength(known.length);
      } catch (error) {
        if (!(error instanceof CastError)) throw error;
      }
    }),
    asked(500),
  );
});
