import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { NumberedFrame } from '../../../protocol/frame.ts';
import { FrameLog, type Gap } from '../../../server/keeper/frame-log.ts';

function open(
  options: { ringBytes?: number; lastSeq?: number; lastTimeMs?: number; now?: () => number } = {},
): FrameLog {
  return new FrameLog({ cast: 'cast_1', cols: 80, rows: 24, now: () => 0, ...options });
}

const seqs = (read: readonly NumberedFrame[] | Gap): unknown => ('from' in read ? read : read.map(({ seq }) => seq));

test('frames are numbered from 1 and have whole milliseconds that never go back', () => {
  let nowMs = 500.4;
  const log = open({ now: () => nowMs });
  log.append('o', 'a');
  nowMs += 10.3;
  log.append('o', 'b');
  nowMs -= 5;
  log.append('m', 'c');
  expect(log.read(0, 1000)).toEqual([
    { seq: 1, timeMs: 0, code: 'o', data: 'a' },
    { seq: 2, timeMs: 10, code: 'o', data: 'b' },
    { seq: 3, timeMs: 10, code: 'm', data: 'c' },
  ]);
  expect(log.lastSeq).toBe(3);
});

test('a log that goes on counts from where it was', () => {
  let nowMs = 100;
  const log = open({ lastSeq: 41, lastTimeMs: 9000, now: () => nowMs });
  expect(log.firstSeq).toBe(42);
  nowMs += 5;
  log.append('o', 'x');
  expect(log.read(41, 1000)).toMatchObject([{ seq: 42, timeMs: 9005 }]);
  expect(seqs(log.read(10, 1000))).toEqual({ from: 11, to: 41 });
});

test('a resize is the size from then on', () => {
  const log = open();
  log.append('r', '101x33');
  expect([log.cols, log.rows]).toEqual([101, 33]);
});

test('a reader gets about as much as it asks for, at least one frame, and nothing at the end', () => {
  const log = open();
  for (let count = 0; count < 10; count++) log.append('o', 'x'.repeat(1000));
  expect(seqs(log.read(0, 1))).toEqual([1]);
  expect(seqs(log.read(3, 2500))).toEqual([4, 5, 6]);
  expect(seqs(log.read(10, 1000))).toEqual([]);
});

test('listeners hear each frame, and the end once', () => {
  const log = open();
  const heard: (number | null)[] = [];
  const gone: unknown[] = [];
  log.listen((frame) => heard.push(frame?.seq ?? null));
  log.listen((frame) => gone.push(frame)).close();
  log.append('o', 'a');
  log.append('o', 'b');
  log.close();
  log.close();
  expect(heard).toEqual([1, 2, null]);
  expect(gone).toEqual([]);
  expect(() => log.append('o', 'c')).toThrow('closed');
});

test('whatever is appended, a cursor sees every number once: as a frame with its data, or in a gap', () => {
  const step = fc.record({ size: fc.integer({ min: 0, max: 3000 }), read: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 20_000 }), (steps, ringBytes) => {
      const log = open({ ringBytes });
      let cursor = 0;
      let seen = 0;
      for (const { size, read } of [...steps, { size: 1, read: true }]) {
        log.append('o', `${log.lastSeq + 1} ${'x'.repeat(size)}`);
        while (read && cursor < log.lastSeq) {
          const next = log.read(cursor, 4000);
          if ('from' in next) {
            expect(next.from).toBe(cursor + 1);
            cursor = next.to;
            continue;
          }
          expect(next.length).toBeGreaterThan(0);
          for (const frame of next) {
            expect(frame.seq).toBe(++cursor);
            expect(frame.data.startsWith(`${frame.seq} `)).toBe(true);
            seen++;
          }
        }
      }
      expect(seen).toBeGreaterThan(0);
    }),
  );
});

test('memory is bounded by the ring, not by what went through it', () => {
  const log = open({ ringBytes: 256 * 1024 });
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let count = 0; count < 900; count++) log.append('o', Buffer.alloc(64 * 1024, `${count} `).toString('latin1'));
  collect();
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(4 * 1024 * 1024);
});
