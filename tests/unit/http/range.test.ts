// Ranges and conditions, as a table.
import { expect, test } from 'vitest';
import { type Asked, partHeaders, partOf } from '../../../server/http/range.ts';

const facts = { size: 100, etag: '"e"' };

test.each<[Asked, number, string | undefined, string | undefined]>([
  [{}, 200, undefined, '100'],
  [{ range: 'bytes=0-9' }, 206, 'bytes 0-9/100', '10'],
  [{ range: 'bytes=90-' }, 206, 'bytes 90-99/100', '10'],
  [{ range: 'bytes=-5' }, 206, 'bytes 95-99/100', '5'],
  [{ range: 'bytes=-500' }, 206, 'bytes 0-99/100', '100'],
  [{ range: 'bytes=50-5000' }, 206, 'bytes 50-99/100', '50'],
  [{ range: 'bytes=99-99' }, 206, 'bytes 99-99/100', '1'],
  [{ range: 'bytes=100-' }, 416, 'bytes */100', undefined],
  [{ range: 'bytes=-0' }, 416, 'bytes */100', undefined],
  [{ range: 'bytes=9-0' }, 200, undefined, '100'],
  [{ range: 'bytes=0-1,5-6' }, 200, undefined, '100'],
  [{ range: 'lines=0-1' }, 200, undefined, '100'],
  [{ range: 'bytes=-' }, 200, undefined, '100'],
  [{ range: 'bytes=0-9', ifRange: '"e"' }, 206, 'bytes 0-9/100', '10'],
  [{ range: 'bytes=0-9', ifRange: '"other"' }, 200, undefined, '100'],
  [{ ifNoneMatch: '"e"' }, 304, undefined, undefined],
  [{ ifNoneMatch: '"x", W/"e"' }, 304, undefined, undefined],
  [{ ifNoneMatch: '*' }, 304, undefined, undefined],
  [{ ifNoneMatch: '"x"' }, 200, undefined, '100'],
])('%o is %s %s, %s bytes', (asked, status, range, length) => {
  const part = partOf(asked, facts);
  const headers = partHeaders(part, facts);
  expect([part.status, headers['content-range'], headers['content-length']]).toEqual([status, range, length]);
});

test('an empty resource is whole, and has no part', () => {
  const empty = { size: 0, etag: '"e"' };
  expect(partOf({}, empty)).toEqual({ status: 200, start: 0, end: -1 });
  expect(partOf({ range: 'bytes=0-' }, empty).status).toBe(416);
});
