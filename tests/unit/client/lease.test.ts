import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Lease } from '../../../client/lease.ts';

const bytesOf = (data: string, isBase64: boolean): Buffer => Buffer.from(data, isBase64 ? 'base64' : 'utf8');

/** What a gateway sends of these bytes from an offset on, in pieces of whole characters. */
function* pieces(bytes: Buffer, from: number, lengths: readonly number[], isBase64: boolean) {
  let at = from;
  for (let index = 0; at < bytes.length; index++) {
    let end = Math.min(bytes.length, at + (lengths[index % lengths.length] ?? 1));
    // Up to the next byte that begins a character.
    while (!isBase64 && end < bytes.length && ((bytes[end] ?? 0) & 0xc0) === 0x80) end++;
    const part = bytes.subarray(at, end);
    const text = isBase64
      ? { data: part.toString('base64'), encoding: 'base64' as const }
      : { data: part.toString('utf8') };
    yield { process: 'p1', stream: 'stdout' as const, offset: at, ...text };
    at = end;
  }
}

test('wherever the connection breaks, the pieces that are accepted make up the output once', () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('a', 'ä', '漢', '😀', '\ufffd', '\n'), { maxLength: 60 }),
      fc.array(fc.tuple(fc.integer({ min: 0, max: 12 }), lengths), { maxLength: 6 }),
      fc.boolean(),
      (characters, breaks, isBase64) => {
        const bytes = Buffer.from(characters.join(''));
        const lease = new Lease();
        lease.started('p1');
        let got = Buffer.alloc(0);
        for (const [count, cut] of [...breaks, [Number.POSITIVE_INFINITY, [4]] as const]) {
          const from = lease.received()['p1']?.stdout ?? 0;
          let sent = 0;
          for (const piece of pieces(bytes, from, cut, isBase64)) {
            if (sent++ >= count) break;
            const fresh = lease.accept(piece);
            if (fresh !== null) got = Buffer.concat([got, bytesOf(fresh.data, isBase64)]);
          }
        }
        expect(got.toString('hex')).toBe(bytes.toString('hex'));
      },
    ),
    { numRuns: 500 },
  );
});

test('output that is no text is taken up at a place that is known for sure', () => {
  const lease = new Lease();
  const output = { process: 'p1', stream: 'stdout' as const };
  lease.accept({ ...output, data: 'ok', offset: 0 });
  // Two bytes that are no UTF-8 look like six.
  lease.accept({ ...output, data: 'x\ufffd\ufffd', offset: 2 });
  expect(lease.received()).toEqual({ p1: { stdout: 2, stderr: 0 } });
  expect(lease.accept({ ...output, data: 'x\ufffd', offset: 2 })).toBeNull();
  expect(lease.accept({ ...output, data: '\ufffdnew', offset: 4 })).toMatchObject({ data: 'new' });
  expect(lease.accept({ ...output, data: '!', offset: 8 })).toMatchObject({ data: '!', offset: 8 });
});

test('commands that have ended are not asked for any more', () => {
  const lease = new Lease();
  lease.started('p1');
  lease.started('p2');
  lease.ended('p1');
  expect(Object.keys(lease.received())).toEqual(['p2']);
});
