import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Coalescer, MAX_FRAME_CHARS } from '../../../server/keeper/coalesce.ts';
import { ManualClock } from './manual-clock.ts';

function start() {
  const clock = new ManualClock();
  const frames: string[] = [];
  return { clock, frames, coalescer: new Coalescer({ clock, frame: (text) => void frames.push(text) }) };
}

test('the first output after quiet passes at once', () => {
  const { coalescer, frames } = start();
  coalescer.push(Buffer.from('$ '));
  expect(frames).toEqual(['$ ']);
});

test('keystrokes with pauses between them each pass at once', () => {
  const { clock, coalescer, frames } = start();
  for (const key of 'a line that somebody types') {
    coalescer.push(Buffer.from(key));
    clock.advance(9);
  }
  expect(frames).toHaveLength(26);
});

test('many small pieces in a moment become one frame, which waits no longer than 6 ms', () => {
  const { clock, coalescer, frames } = start();
  for (let piece = 0; piece < 100; piece++) coalescer.push(Buffer.from('x'));
  expect(frames).toHaveLength(16);
  clock.advance(6);
  expect(frames).toHaveLength(17);
  expect(frames.join('')).toBe('x'.repeat(100));
});

test('under a steady flood there is about one frame each 6 ms, and output passes at once again after quiet', () => {
  const { clock, coalescer, frames } = start();
  for (let ms = 0; ms < 600; ms++) {
    for (let piece = 0; piece < 4; piece++) coalescer.push(Buffer.from('0123456789'));
    clock.advance(1);
  }
  expect(frames.length).toBeGreaterThan(80);
  expect(frames.length).toBeLessThan(120);
  clock.advance(100);
  const before = frames.length;
  coalescer.push(Buffer.from('$ '));
  expect(frames).toHaveLength(before + 1);
});

test('what comes when somebody has typed passes at once, also in a flood', () => {
  const { clock, coalescer, frames } = start();
  for (let piece = 0; piece < 400; piece++) {
    coalescer.push(Buffer.from('0123456789'));
    clock.advance(0.25);
  }
  const before = frames.length;
  coalescer.push(Buffer.from('waits'));
  expect(frames).toHaveLength(before);
  coalescer.typed();
  coalescer.push(Buffer.from('echo'));
  expect(frames).toHaveLength(before + 1);
  expect(frames.at(-1)?.endsWith('waitsecho')).toBe(true);
});

test('a flood becomes frames of at most 64 KiB without waiting for time', () => {
  const { coalescer, frames } = start();
  for (let piece = 0; piece < 100; piece++) coalescer.push(Buffer.alloc(4095, 'y'));
  coalescer.end();
  expect(frames.join('')).toBe('y'.repeat(409_500));
  expect(Math.max(...frames.map((frame) => frame.length))).toBeLessThanOrEqual(MAX_FRAME_CHARS);
  expect(frames.length).toBeLessThan(16);
});

test('a character that comes byte by byte is one character', () => {
  const { clock, coalescer, frames } = start();
  for (const byte of Buffer.from('é→😀')) {
    coalescer.push(Buffer.from([byte]));
    clock.advance(50);
  }
  expect(frames).toEqual(['é', '→', '😀']);
});

test('the buffer may be used again after the call', () => {
  const { coalescer, frames } = start();
  const buffer = Buffer.alloc(1);
  for (const byte of Buffer.from('né😀')) {
    buffer[0] = byte;
    coalescer.push(buffer);
  }
  coalescer.end();
  expect(frames.join('')).toBe('né😀');
});

test('a character whose rest never comes is U+FFFD', () => {
  const { coalescer, frames } = start();
  coalescer.push(Buffer.from([0x61, 0xe2, 0x82]));
  coalescer.end();
  expect(frames.join('')).toBe('a\ufffd');
});

test('one huge piece is cut between characters, never inside of one', () => {
  const { coalescer, frames } = start();
  const text = `a${'😀'.repeat(100_000)}`;
  coalescer.push(Buffer.from(text));
  coalescer.end();
  expect(frames.join('')).toBe(text);
  for (const frame of frames) {
    expect(frame.length).toBeLessThanOrEqual(MAX_FRAME_CHARS);
    expect(frame.isWellFormed()).toBe(true);
  }
});

test('whatever bytes come in whatever pieces at whatever times: the frames together are the decoded bytes', () => {
  const utf8Parts = fc.constantFrom(0x41, 0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80, 0xff, 0xe0, 0xed, 0xa0);
  const piece = fc.record({
    bytes: fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.array(utf8Parts, { maxLength: 40 })),
    pauseMs: fc.constantFrom(0, 0, 0, 1, 5, 9, 20),
  });
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
      const { clock, coalescer, frames } = start();
      for (const { bytes, pauseMs } of pieces) {
        coalescer.push(Buffer.from(bytes));
        clock.advance(pauseMs);
      }
      coalescer.end();
      const whole = Buffer.concat(pieces.map(({ bytes }) => Buffer.from(bytes)));
      expect(frames.join('')).toBe(new TextDecoder('utf-8', { ignoreBOM: true }).decode(whole));
      for (const frame of frames) expect(frame.isWellFormed() && frame !== '').toBe(true);
    }),
  );
});

test('what is held comes as one frame with the text that ends it', () => {
  const { coalescer, frames } = start();
  const seen: boolean[] = [];
  coalescer.hold('END', (was) => void seen.push(was));
  for (const piece of ['echo', 'output', 'E', 'N']) coalescer.push(Buffer.from(piece));
  expect({ frames, seen }).toEqual({ frames: [], seen: [] });
  coalescer.push(Buffer.from('D$ '));
  expect({ frames, seen }).toEqual({ frames: ['echooutputEND$ '], seen: [true] });
  coalescer.push(Buffer.from('next'));
  expect(frames).toHaveLength(2);
});

test('what is held waits no longer than 6 ms, and what follows passes at once', () => {
  const { clock, coalescer, frames } = start();
  const seen: boolean[] = [];
  coalescer.hold('END', (was) => void seen.push(was));
  coalescer.push(Buffer.from('echo'));
  clock.advance(5.9);
  expect(frames).toEqual([]);
  clock.advance(0.1);
  expect({ frames, seen }).toEqual({ frames: ['echo'], seen: [false] });
  coalescer.push(Buffer.from('END'));
  expect({ frames, seen }).toEqual({ frames: ['echo', 'END'], seen: [false] });
});

test.each<[string, (coalescer: Coalescer) => void]>([
  ['somebody types', (coalescer) => coalescer.typed()],
  ['there is a frame full', (coalescer) => coalescer.push(Buffer.alloc(MAX_FRAME_CHARS, 'x'))],
  ['nothing follows any more', (coalescer) => coalescer.end()],
  ['other output is waited for', (coalescer) => coalescer.hold('other', () => undefined)],
])('what is held is given out when %s', (_when, happens) => {
  const { coalescer, frames } = start();
  const seen: boolean[] = [];
  coalescer.hold('END', (was) => void seen.push(was));
  coalescer.push(Buffer.from('held'));
  happens(coalescer);
  expect(frames.join('')).toMatch(/^held/);
  expect(seen).toEqual([false]);
});
