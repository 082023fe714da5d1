import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  CastDecoder,
  CastEncoder,
  CastError,
  type CastEvent,
  type CastHeader,
  type CastItem,
  encodeGap,
  encodeHeader,
  encodeSeal,
  MAX_LINE_BYTES,
} from '../../../protocol/asciicast.ts';
import { V2Converter } from '../../../protocol/asciicast-v2.ts';

const header: CastHeader = {
  version: 3,
  cols: 120,
  rows: 40,
  termType: 'xterm-256color',
  timestamp: 1_700_000_000,
  title: 'build',
  env: { SHELL: '/bin/bash', TERM: 'xterm-256color' },
  slotcast: { cast: 'cast_1', slot: 'slot_0', label: 'build', startedAt: 1_700_000_000_123 },
};

function decode(text: string | Uint8Array, pieceBytes = Number.POSITIVE_INFINITY): CastItem[] {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  const decoder = new CastDecoder();
  const items: CastItem[] = [];
  for (let from = 0; from < bytes.length; from += pieceBytes) {
    items.push(...decoder.decode(bytes.subarray(from, Math.min(bytes.length, from + pieceBytes))));
  }
  return items;
}

function encode(version: 2 | 3, events: readonly CastEvent[]): string {
  const encoder = new CastEncoder(version);
  return encodeHeader({ ...header, version }) + events.map((event) => encoder.encode(event)).join('');
}

const eventsOf = (items: readonly CastItem[]): CastEvent[] =>
  items.flatMap((item) => (item.kind === 'event' ? [{ timeMs: item.timeMs, code: item.code, data: item.data }] : []));

const anyEvents = (codes: readonly string[]) =>
  fc
    .array(
      fc.record({
        waitMs: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 10_000_000 })),
        code: fc.constantFrom(...codes),
        data: fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.constantFrom('\u001b[0m\r\n', '\u2028\u2029\u0000\u007f', 'é😀'),
        ),
      }),
      { maxLength: 30 },
    )
    .map((events) => {
      let timeMs = 0;
      return events.map(({ waitMs, code, data }) => {
        timeMs += waitMs;
        return { timeMs, code, data };
      });
    });

test('a v3 header has the size under term, and what slotcast says', () => {
  expect(JSON.parse(encodeHeader(header))).toEqual({
    version: 3,
    term: { cols: 120, rows: 40, type: 'xterm-256color' },
    timestamp: 1_700_000_000,
    title: 'build',
    env: { SHELL: '/bin/bash', TERM: 'xterm-256color' },
    slotcast: { cast: 'cast_1', slot: 'slot_0', label: 'build', startedAt: 1_700_000_000_123 },
  });
});

test('a v2 header has the size as width and height, and nothing that v2 does not know', () => {
  expect(JSON.parse(encodeHeader({ ...header, version: 2 }))).toEqual({
    version: 2,
    width: 120,
    height: 40,
    timestamp: 1_700_000_000,
    title: 'build',
    env: { SHELL: '/bin/bash', TERM: 'xterm-256color' },
  });
});

test('v3 events have intervals and v2 events absolute times, to the millisecond', () => {
  const events = [
    { timeMs: 248, code: 'o', data: 'hello\r\n' },
    { timeMs: 2298, code: 'r', data: '90x30' },
    { timeMs: 2298, code: 'm', data: '' },
  ];
  expect(encode(3, events).split('\n').slice(1)).toEqual([
    '[0.248, "o", "hello\\r\\n"]',
    '[2.050, "r", "90x30"]',
    '[0.000, "m", ""]',
    '',
  ]);
  expect(encode(2, events).split('\n').slice(1)).toEqual([
    '[0.248, "o", "hello\\r\\n"]',
    '[2.298, "r", "90x30"]',
    '[2.298, "m", ""]',
    '',
  ]);
});

test('what is encoded as v3 is decoded to the same, in pieces of any size', () => {
  fc.assert(
    fc.property(anyEvents(['o', 'i', 'r', 'm', 'x', 'e']), fc.integer({ min: 1, max: 50 }), (events, pieceBytes) => {
      const items = decode(encode(3, events), pieceBytes);
      expect(items[0]).toMatchObject({ kind: 'header', header });
      expect(eventsOf(items)).toEqual(events);
    }),
  );
});

test('what is encoded as v2 is decoded to the same', () => {
  fc.assert(
    fc.property(anyEvents(['o', 'i', 'r', 'm']), (events) => {
      expect(eventsOf(decode(encode(2, events), 7))).toEqual(events);
    }),
  );
});

test('a v3 file becomes v2 with the same events but those that v2 does not know', () => {
  fc.assert(
    fc.property(anyEvents(['o', 'i', 'r', 'm', 'x', 'e']), fc.integer({ min: 1, max: 50 }), (events, pieceBytes) => {
      const bytes = new TextEncoder().encode(encode(3, events));
      const converter = new V2Converter();
      let text = '';
      for (let from = 0; from < bytes.length; from += pieceBytes) {
        text += converter.convert(bytes.subarray(from, from + pieceBytes));
      }
      expect(decode(text)[0]).toMatchObject({ kind: 'header', header: { version: 2, cols: 120, rows: 40 } });
      expect(eventsOf(decode(text))).toEqual(events.filter(({ code }) => 'oirm'.includes(code)));
    }),
  );
});

test('a hundred thousand events of a millisecond each add up without an error', () => {
  const encoder = new CastEncoder(3);
  const decoder = new CastDecoder();
  let last = 0;
  const bytes = new TextEncoder();
  for (const _ of decoder.decode(bytes.encode(encodeHeader(header))));
  for (let timeMs = 1; timeMs <= 100_000; timeMs++) {
    const line = bytes.encode(encoder.encode({ timeMs, code: 'o', data: '' }));
    for (const item of decoder.decode(line)) if (item.kind === 'event') last = item.timeMs;
  }
  expect(last).toBe(100_000);
});

test('intervals of another program that are finer than a millisecond add up too', () => {
  const lines = Array.from({ length: 1000 }, () => '[0.0004, "o", "x"]\n').join('');
  expect(eventsOf(decode(encodeHeader(header) + lines)).at(-1)?.timeMs).toBe(400);
});

test('each item says where its line stands, in bytes', () => {
  const text = encode(3, [
    { timeMs: 1, code: 'o', data: 'é😀' },
    { timeMs: 2, code: 'o', data: 'x' },
  ]);
  const bytes = Buffer.from(text);
  for (const { start, end } of decode(text, 5)) {
    expect(bytes.toString('utf8', start, end)).toMatch(/^[[{].*[\]}]\n$/);
  }
  expect(decode(text).at(-1)?.end).toBe(bytes.length);
});

test('comments and empty lines are skipped, and unknown codes kept without a number of their own', () => {
  const items = decode(
    `${encodeHeader(header)}# a comment\n\n[1.0, "o", "a"]\n  \r\n[1.0, "e", "{}"]\n[1, "z", {"a": 1}]\n[1.0,"x","0"]\n`,
  );
  expect(items.slice(1).map((item) => item.kind === 'event' && [item.seq, item.timeMs, item.code, item.data])).toEqual([
    [1, 1000, 'o', 'a'],
    [1, 2000, 'e', '{}'],
    [2, 4000, 'x', '0'],
  ]);
});

test('a last line without its newline is not given out', () => {
  const decoder = new CastDecoder();
  const sound = encode(3, [{ timeMs: 1, code: 'o', data: 'a' }]);
  const items = [...decoder.decode(new TextEncoder().encode(`${sound}[0.5, "o", "to`))];
  expect(eventsOf(items)).toHaveLength(1);
  expect(decoder.offset).toBe(sound.length);
  expect(decoder.rest).toBe('[0.5, "o", "to');
});

test('seal and gap are comments to others and items here; frames after a gap keep their numbers', () => {
  const seal = { duration: 1.5, frames: 3, commands: 1 };
  const text = `${encode(3, [{ timeMs: 1, code: 'o', data: 'a' }])}${encodeGap({ from: 2, to: 9 })}[0.1, "o", "b"]\n${encodeSeal(seal)}`;
  expect(text).toContain('\n# slotcast end {"duration":1.5,"frames":3,"commands":1}\n');
  expect(decode(text).slice(2)).toMatchObject([
    { kind: 'gap', gap: { from: 2, to: 9 } },
    { kind: 'event', seq: 10, data: 'b' },
    { kind: 'seal', seal },
  ]);
});

test.each([
  ['', 'no JSON', 1],
  ['hello', 'no JSON', 1],
  ['[]', 'no asciicast header', 1],
  ['{"version":1,"width":80,"height":24}', 'not asciicast version 2 or 3', 1],
  ['{"version":3,"width":80,"height":24}', 'the header has no size', 1],
  ['{"version":2,"width":80,"height":24}\n[1,"o","a"]\nnonsense', 'neither an event nor a comment', 3],
  ['{"version":2,"width":80,"height":24}\n[1,"o","a', 'no JSON', 2],
  ['{"version":2,"width":80,"height":24}\n["1","o","a"]', 'no event', 2],
  ['{"version":2,"width":1e300,"height":24}', 'the header has no size', 1],
  ['{"version":2,"width":80,"height":24}\n[1e308,"o","a"]', 'the time of the event is too large', 2],
  ['{"version":3,"term":{"cols":80,"rows":24}}\n[9e9,"o","a"]\n[9e9,"o","a"]', 'the time of the event is too large', 3],
  ['{"version":2,"width":80,"height":24}\n[1,"o",5]', 'the data of the event is no text', 2],
])('%j is told with its line', (text, message, line) => {
  expect(() => decode(`${text}\n`)).toThrow(`line ${line}: ${message}`);
});

test('numbers of a damaged seal, gap or origin that nobody can count on with are none', () => {
  const origin = '"slotcast":{"cast":"cast_1","slot":"slot_0","label":null,"startedAt":1e999}';
  const head = `{"version":3,"term":{"cols":80,"rows":24},"timestamp":1e306,${origin}}\n`;
  const gap = '# slotcast gap {"from":1,"to":1e300}\n';
  const seals = ['1e999,"frames":1,"commands":0', '-1,"frames":1,"commands":0', '1,"frames":1,"commands":0.5'];
  const text = `${head}${gap}[0.1,"o","a"]\n${seals.map((seal) => `# slotcast end {"duration":${seal}}\n`).join('')}`;
  const [first, ...rest] = decode(text);
  expect(first).toMatchObject({ header: { version: 3, cols: 80, rows: 24 } });
  expect(first).not.toHaveProperty('header.slotcast');
  expect(first).not.toHaveProperty('header.timestamp');
  expect(rest).toMatchObject([{ kind: 'event', seq: 1 }]);
  expect(rest).toHaveLength(1);
});

test('what comes before a bad line is given out first', () => {
  const decoder = new CastDecoder();
  const sound = encode(3, [{ timeMs: 1, code: 'o', data: 'a' }]);
  const items: CastItem[] = [];
  expect(() => {
    for (const item of decoder.decode(new TextEncoder().encode(`${sound}nonsense\n[0.1, "o", "b"]\n`)))
      items.push(item);
  }).toThrow('line 3: neither an event nor a comment');
  expect(items).toHaveLength(2);
  expect(decoder.offset).toBe(sound.length);
});

test('a line without an end does not eat the memory', () => {
  const decoder = new CastDecoder();
  const feed = (bytes: Uint8Array): CastItem[] => [...decoder.decode(bytes)];
  feed(new TextEncoder().encode(encodeHeader(header)));
  const piece = new Uint8Array(MAX_LINE_BYTES / 4).fill(0x20);
  for (let count = 0; count < 4; count++) feed(piece);
  expect(() => feed(piece)).toThrow(CastError);
});

test('times never go back, whatever the file says', () => {
  const v2 = '{"version":2,"width":80,"height":24}\n[5,"o","a"]\n[3,"o","b"]\n';
  const v3 = '{"version":3,"term":{"cols":80,"rows":24}}\n[5,"o","a"]\n[-3,"o","b"]\n';
  for (const text of [v2, v3]) expect(eventsOf(decode(text)).map(({ timeMs }) => timeMs)).toEqual([5000, 5000]);
});

test.skipIf(!existsSync('/usr/bin/asciinema'))("asciinema's own program shows the v2 conversion byte by byte", () => {
  const directory = mkdtempSync(join(tmpdir(), 'slotcast-asciicast-'));
  try {
    const events = ['\u001b[31mrot\u001b[0m\r\n', 'é→😀', '\u0000\u0007\u007f', '"quotes" \\ and \u2028\r\n'].map(
      (data, index) => ({ timeMs: index, code: 'o', data }),
    );
    const v3 = encode(3, [...events, { timeMs: 9, code: 'm', data: 'mark' }, { timeMs: 9, code: 'r', data: '90x30' }]);
    const ended = `${v3}[0.000, "x", "0"]\n${encodeSeal({ duration: 1, frames: 6, commands: 0 })}`;
    const file = join(directory, 'v2.cast');
    writeFileSync(file, new V2Converter().convert(new TextEncoder().encode(ended)));
    const env = { PATH: process.env['PATH'], LANG: 'C.UTF-8', HOME: directory };
    // It wants a terminal, which script gives it.
    execFileSync('script', ['-qec', `asciinema cat ${file} > ${directory}/shown`, '/dev/null'], { env });
    expect(readFileSync(join(directory, 'shown'), 'utf8')).toBe(events.map(({ data }) => data).join(''));
  } finally {
    rmSync(directory, { recursive: true });
  }
});
