import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CastEncoder, encodeChainSeal, encodeGap, encodeHeader, encodeSeal } from '../../../protocol/asciicast.ts';
import { CastVerifier } from '../../../protocol/cast-verifier.ts';
import {
  type ChainLink,
  checkText,
  encodeLink,
  MAX_SECTION_LINES,
  parseLink,
  Section,
} from '../../../protocol/chain.ts';
import { chainHash } from '../../../server/keeper/chain-hash.ts';
import { verdictOn } from '../keeper/verdict.ts';

/** A recording of batches of output, as the recorder chains it: its lines, newlines included. */
function record(name: string, batches: readonly (readonly string[])[]): string[] {
  const lines: string[] = [];
  let link: ChainLink | null = null;
  let frames = 0;
  const add = (...batch: string[]): void => {
    const section = new Section(link, chainHash);
    section.take(Buffer.from(batch.join('')));
    link = section.link();
    lines.push(...batch, encodeLink(link));
  };
  const slotcast = { cast: `cast_${name}`, slot: 'slot_0', label: null, startedAt: 1 };
  add(encodeHeader({ version: 3, cols: 80, rows: 24, slotcast }));
  const encoder = new CastEncoder(3);
  for (const batch of batches) {
    const gap = batch.length === 3 ? [encodeGap({ from: frames, to: frames })] : [];
    frames += batch.length;
    add(...gap, ...batch.map((data) => encoder.encode({ timeMs: frames * 10, code: 'o', data })));
  }
  if (link === null) throw new Error('no link');
  return [...lines, encodeChainSeal({ duration: 1, frames, commands: 0 }, link, chainHash)];
}

const text = (name: string, batch: number, size: number): string[] =>
  Array.from({ length: size }, (_, index) => `${name} ${batch}.${index} é${'x'.repeat((index * 37) % 300)}\r\n`);
const sizes = [1, 4, 3, 2, 1, 6];
const one = record(
  'one',
  sizes.map((size, batch) => text('one', batch, size)),
);
const two = record(
  'two',
  [2, 3, 1, 5, 4, 1, 2].map((size, batch) => text('two', batch, size)),
);
const bytesOf = (lines: readonly string[]): Buffer => Buffer.from(lines.join(''));
const whole = bytesOf(one);

/** The first line in which two files differ, from 1. */
function firstDifference(lines: readonly string[], others: readonly string[]): number {
  let at = 0;
  while (lines[at] === others[at]) at++;
  return at + 1;
}

test('a recording is intact whatever pieces it comes in, and its hash is that of the seal', () => {
  for (const pieceBytes of [1, 2, 3, 7, 64, 1000, 1 << 20]) {
    expect(verdictOn(whole, pieceBytes)).toEqual({
      sealed: true,
      chained: true,
      ok: true,
      recovered: false,
      lines: one.length,
      hash: /"hash":"([\w-]{43})"\}\n$/.exec(one.at(-1) ?? '')?.[1],
    });
  }
});

test('the hash of a link is the plain SHA-256 of the lines from the link before it on', () => {
  const links = one.flatMap((line, index) => (line.startsWith('# slotcast link') ? [index] : []));
  const [from = 0, to = 0] = links.slice(2);
  const sha256 = chainHash.sha256();
  sha256.update(bytesOf(one.slice(from, to)));
  expect(parseLink((one[to] ?? '').trimEnd())).toMatchObject({ line: to + 1, hash: sha256.digest() });
});

test('the check of a line is its CRC-32, whatever its length and the pieces it comes in', () => {
  const lines = [0, 1, 100, 127, 128, 129, 1000, 70_000].map((length) => 'é€'.repeat(length).slice(0, length));
  for (const pieceBytes of [1, 100, 128, 1 << 20]) {
    const section = new Section(null, chainHash);
    const bytes = Buffer.from(`${lines.join('\n')}\n`);
    for (let at = 0; at < bytes.length; at += pieceBytes) section.take(bytes.subarray(at, at + pieceBytes));
    expect(section.checks).toEqual(lines.map((line) => chainHash.crc32(Buffer.from(line), 0)));
  }
  expect(checkText(0)).toBe('AAAA');
});

describe('the first line that is not as it was is named', () => {
  test.each(one.map((_, index) => index))('line %# dropped, doubled, or with another one before it', (index) => {
    const dropped = one.toSpliced(index, 1);
    // Without the seal it is a recording without an end, and nothing else is wrong with it.
    if (index < one.length - 1) expect(verdictOn(bytesOf(dropped))).toMatchObject({ ok: false, line: index + 1 });
    else expect(verdictOn(bytesOf(dropped))).toMatchObject({ ok: false, sealed: false, chained: true });
    const doubled = one.toSpliced(index, 0, one[index] ?? '');
    expect(verdictOn(bytesOf(doubled))).toMatchObject({ ok: false, line: index + 2 });
    for (const line of ['[0.001, "o", "forged"]\n', '# a comment\n', '\n', '# slotcast link {}\n', one[1] ?? '']) {
      const added = one.toSpliced(index, 0, line);
      expect(verdictOn(bytesOf(added)), line).toMatchObject({ ok: false, line: firstDifference(one, added) });
    }
  });

  test('any two lines swapped', () => {
    for (let first = 0; first < one.length; first++) {
      for (let second = first + 1; second < one.length; second++) {
        const swapped = one.with(first, one[second] ?? '').with(second, one[first] ?? '');
        expect(verdictOn(bytesOf(swapped)), `${first + 1}, ${second + 1}`).toMatchObject({
          ok: false,
          line: first + 1,
        });
      }
    }
  });

  test('any byte changed', () => {
    let line = 1;
    for (let at = 0; at < whole.length - 1; at++) {
      const damaged = Buffer.from(whole);
      damaged[at] = (whole[at] ?? 0) ^ (1 << (at % 8));
      expect(verdictOn(damaged), `byte ${at}`).toMatchObject({ ok: false, line });
      if (whole[at] === 10) line++;
    }
  });

  test('the tail of another recording', () => {
    const wrong: unknown[] = [];
    for (let at = 1; at < one.length; at++) {
      for (let from = 0; from < two.length; from++) {
        const verdict = verdictOn(bytesOf([...one.slice(0, at), ...two.slice(from)]));
        expect(verdict.ok).toBe(false);
        if (verdict.line !== at + 1) wrong.push([at, from, verdict.line]);
      }
    }
    // With nothing but the header of the one it is the other with a wrong beginning, and a line where the other had a link is a wrong line.
    const links = two.flatMap((line, index) => (line.startsWith('# slotcast link') && index > 2 ? [index + 1] : []));
    const other = links.filter((line) => line < one.length && !one[line - 1]?.startsWith('# slotcast link'));
    expect(other.length).toBeGreaterThan(0);
    expect(wrong).toEqual([[1, 0, 1], [1, 1, 1], ...other.map((line) => [line, line, line])]);
  });

  test('lines behind the seal, whole or not', () => {
    for (const line of ['[0.001, "o", "more"]\n', '\n', 'x', '# slotcast end', one.at(-1) ?? '']) {
      expect(verdictOn(bytesOf([...one, line]))).toMatchObject({ ok: false, line: one.length + 1 });
    }
  });

  test('a seal that says something else', () => {
    const other = [
      two.at(-1) ?? '',
      (one.at(-1) ?? '').replace('"commands":0', '"commands":1'),
      (one.at(-1) ?? '').replace('"frames":17', '"frames":16'),
      encodeSeal({ duration: 1, frames: 17, commands: 0 }),
    ];
    for (const seal of other) {
      expect(seal).not.toBe(one.at(-1));
      expect(verdictOn(bytesOf([...one.slice(0, -1), seal]))).toMatchObject({ ok: false, line: one.length });
    }
  });

  test('a seal over fewer frames, whatever its hash', () => {
    const link = parseLink((one.at(-2) ?? '').trimEnd());
    if (link === null) throw new Error('no link');
    const seal = encodeChainSeal({ duration: 1, frames: 16, commands: 0 }, link, chainHash);
    expect(verdictOn(bytesOf([...one.slice(0, -1), seal]))).toMatchObject({ ok: false, line: one.length });
  });
});

test('a tail that is cut anywhere is unsealed', () => {
  const headerBytes = Buffer.byteLength(one.slice(0, 2).join(''));
  for (let length = 0; length < whole.length; length++) {
    const verdict = verdictOn(whole.subarray(0, length));
    expect(verdict, `${length} bytes`).toMatchObject({ ok: false, sealed: false, hash: null });
    expect(verdict.line, `${length} bytes`).toBeUndefined();
    expect(verdict.chained).toBe(length >= headerBytes);
  }
});

test('a recording of an older version is not chained, sealed or not, however long', () => {
  const plain = one.filter((line) => !line.startsWith('# slotcast link')).slice(0, -1);
  const seal = encodeSeal({ duration: 1, frames: 17, commands: 0 });
  expect(verdictOn(bytesOf([...plain, seal]))).toMatchObject({ sealed: true, chained: false, ok: false });
  const long = [...plain, ...Array<string>(MAX_SECTION_LINES * 2).fill('[0.001, "o", "x"]\n')];
  expect(verdictOn(bytesOf(long))).toMatchObject({ sealed: false, chained: false, ok: false });
  expect(verdictOn(bytesOf([...long, one[1] ?? '']))).toMatchObject({ chained: true, ok: false, line: 2 });
});

test('a flood of lines that no link vouches for is told, and held by no one', () => {
  const flood = [...one.slice(0, 2), ...Array<string>(MAX_SECTION_LINES * 20).fill('[0.001, "o", "x"]\n')];
  const verifier = new CastVerifier(chainHash);
  verifier.take(bytesOf(flood));
  expect(verifier.end()).toMatchObject({ ok: false, line: 3, lines: flood.length });
});

test('nothing but the recording itself passes as intact', () => {
  const edit = fc.record({
    at: fc.nat(whole.length),
    drop: fc.oneof(fc.constant(0), fc.nat(3), fc.nat(600)),
    put: fc.oneof(
      fc.uint8Array({ maxLength: 4 }),
      fc.tuple(fc.nat(whole.length), fc.nat(400)).map(([from, size]) => whole.subarray(from, from + size)),
    ),
  });
  fc.assert(
    fc.property(
      fc.array(edit, { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 1, max: 5000 }),
      (edits, pieceBytes) => {
        let bytes: Buffer = whole;
        for (const { at, drop, put } of edits) {
          bytes = Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + drop)]);
        }
        expect(verdictOn(bytes, pieceBytes).ok).toBe(bytes.equals(whole));
      },
    ),
    { numRuns: 2000 },
  );
});
