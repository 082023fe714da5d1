// Recordings changed behind the gateway's back, by somebody who got at the files: each change is found, and the first bad line named.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect } from 'vitest';
import type { Client } from '../../client/index.ts';
import { playByAsciinema } from '../support/asciinema.ts';
import { attackOnce } from './attack.ts';
import { type Target, targets } from './gateway.ts';

const of = targets();
/** Enough that each section of the recording is hit, few enough to be quick. */
const FLIPS = 150;

interface Recorded {
  readonly cast: string;
  readonly file: string;
  readonly bytes: Buffer;
  /** With their newlines. */
  readonly lines: readonly string[];
}

/** A recording of a real terminal, in several batches. */
async function record(target: Target, name: string): Promise<Recorded> {
  const slot = await target.slot({ label: name });
  for (let run = 0; run < 6; run++) {
    await slot.terminal.run({ command: `echo ${name} ${run}; seq ${run * 3}; printf '\\303\\251\\n'` });
  }
  const { cast } = slot;
  await slot.release();
  const file = join(target.dataDir, 'casts', `${cast}.cast`);
  const bytes = readFileSync(file);
  return { cast, file, bytes, lines: bytes.toString().match(/[^\n]*\n/g) ?? [] };
}

let made: Promise<{ client: Client; target: Target; one: Recorded; two: Recorded }> | null = null;

/** The same two recordings for all attacks. */
function recordings() {
  made ??= (async () => {
    const target = await of(process.getuid?.() === 0 ? 'root' : 'user');
    const one = await record(target, 'one');
    const two = await record(target, 'two');
    return { client: await target.client(), target, one, two };
  })();
  return made;
}

/** What the gateway says of the first recording with this in its file. */
async function verdictOn(damaged: string | Uint8Array) {
  const { client, one } = await recordings();
  writeFileSync(one.file, damaged);
  try {
    return await client.cast.verify(one.cast);
  } finally {
    writeFileSync(one.file, one.bytes);
  }
}

const verdictOnLines = (lines: readonly string[]) => verdictOn(lines.join(''));

describe('F', () => {
  attackOnce(
    'F10',
    async () => {
      // The control: untouched they are intact, and play.
      const { client, target, one, two } = await recordings();
      for (const { cast, lines } of [one, two]) {
        const { hash } = await client.cast.info(cast);
        expect(await client.cast.verify(cast)).toMatchObject({ ok: true, sealed: true, lines: lines.length, hash });
      }
      expect(one.lines.filter((line) => line.startsWith('# slotcast link')).length).toBeGreaterThan(4);
      const { stream } = await client.cast.download(one.cast);
      expect(Buffer.from(await new Response(stream).arrayBuffer()).equals(one.bytes)).toBe(true);
      const { stream: second } = await client.cast.download(one.cast, { format: 'v2' });
      const file = join(target.dataDir, 'v2.cast');
      writeFileSync(file, await new Response(second).text());
      const shown = playByAsciinema(file, target.dataDir);
      expect(shown).toContain('one 5');
      expect(shown).not.toContain('slotcast link');
    },
    30_000,
  );

  attackOnce(
    'F10',
    async () => {
      // A bit flipped anywhere.
      const { one } = await recordings();
      const { bytes } = one;
      const step = Math.max(1, Math.floor(bytes.length / FLIPS));
      for (let at = 0; at < bytes.length - 1; at += step) {
        const flipped = Buffer.from(bytes);
        flipped[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
        const line = bytes.subarray(0, at).toString('latin1').split('\n').length;
        expect(await verdictOn(flipped), `byte ${at}`).toMatchObject({ ok: false, chained: true, line });
      }
    },
    30_000,
  );

  attackOnce(
    'F10',
    async () => {
      // A line dropped, doubled, added, or swapped with a later one.
      const { one } = await recordings();
      const { lines } = one;
      for (let index = 0; index < lines.length - 1; index++) {
        const line = lines[index] ?? '';
        expect(await verdictOnLines(lines.toSpliced(index, 1)), `without ${index + 1}`).toMatchObject({
          ok: false,
          line: firstDifference(lines, lines.toSpliced(index, 1)),
        });
        const doubled = lines.toSpliced(index, 0, line);
        expect(await verdictOnLines(doubled), `twice ${index + 1}`).toMatchObject({
          line: firstDifference(lines, doubled),
        });
        const added = lines.toSpliced(index, 0, '[0.001, "o", "never printed"]\n');
        expect(await verdictOnLines(added), `before ${index + 1}`).toMatchObject({ ok: false, line: index + 1 });
        const later = index + 1 + ((index * 7) % (lines.length - 1 - index));
        if (lines[later] === line) continue;
        const swapped = lines.with(index, lines[later] ?? '').with(later, line);
        expect(await verdictOnLines(swapped), `${index + 1} for ${later + 1}`).toMatchObject({
          ok: false,
          line: index + 1,
        });
      }
    },
    30_000,
  );

  attackOnce(
    'F10',
    async () => {
      // The tail cut, between two lines and within one.
      const { one } = await recordings();
      const { bytes, lines } = one;
      const begin = Buffer.byteLength(lines.slice(0, 2).join(''));
      const step = Math.max(1, Math.floor(bytes.length / FLIPS));
      for (let length = begin; length < bytes.length; length += step) {
        const verdict = await verdictOn(bytes.subarray(0, length));
        expect(verdict, `${length} bytes`).toMatchObject({ ok: false, sealed: false, chained: true, hash: null });
        expect(verdict.line).toBeUndefined();
      }
      for (let count = 2; count < lines.length; count++) {
        expect(await verdictOnLines(lines.slice(0, count))).toMatchObject({ ok: false, sealed: false, lines: count });
      }
      expect(await verdictOn(bytes.subarray(0, -1))).toMatchObject({ ok: false, sealed: false });
    },
    30_000,
  );

  attackOnce(
    'F10',
    async () => {
      // What belongs to another recording: header, tail, seal; and more behind the seal.
      const { one, two } = await recordings();
      const { lines } = one;
      const end = lines.length;
      const seal = lines.at(-1) ?? '';
      expect(await verdictOnLines([two.lines[0] ?? '', ...lines.slice(1)])).toMatchObject({ ok: false, line: 1 });
      expect(await verdictOnLines([...two.lines.slice(0, 2), ...lines.slice(2)])).toMatchObject({ ok: false, line: 3 });
      const isLink = (line = ''): boolean => line.startsWith('# slotcast link');
      for (let at = 2; at < Math.min(end, two.lines.length); at++) {
        const spliced = [...lines.slice(0, at), ...two.lines.slice(at)];
        // A line that stands where the other one had a link is a wrong line as well.
        const first = isLink(two.lines[at - 1]) && !isLink(lines[at - 1]) ? at : firstDifference(lines, spliced);
        const { ok, line } = await verdictOnLines(spliced);
        expect([ok, line === first || line === firstDifference(lines, spliced)], `${at}: ${line}`).toEqual([
          false,
          true,
        ]);
      }
      for (const other of [
        two.lines.at(-1) ?? '',
        seal.replace(/"frames":\d/, '"frames":1'),
        seal.replace(/,"hash.*"/, ''),
      ]) {
        expect(other).not.toBe(seal);
        expect(await verdictOnLines(lines.with(-1, other))).toMatchObject({ ok: false, line: end });
      }
      for (const more of ['[0.001, "o", "more"]\n', '# a comment\n', '\n', 'torn', seal]) {
        expect(await verdictOnLines([...lines, more]), more).toMatchObject({ ok: false, line: end + 1 });
      }
      // Without any trace of a chain nothing can be said, and that is said.
      const plain = lines.filter((line) => !isLink(line)).with(-1, seal.replace(/,"hash.*"/, ''));
      expect(await verdictOnLines(plain)).toMatchObject({ ok: false, chained: false, hash: null });
    },
    30_000,
  );

  attackOnce(
    'F10',
    async () => {
      // Damage of any kind never passes.
      const { one, two } = await recordings();
      const { bytes } = one;
      const piece = fc.oneof(
        fc.uint8Array({ maxLength: 8 }),
        fc.tuple(fc.constantFrom(bytes, two.bytes), fc.nat(bytes.length), fc.nat(500)).map(([from, start, size]) => {
          return from.subarray(start, start + size);
        }),
      );
      const damage = fc.record({ at: fc.nat(bytes.length), drop: fc.nat(600), put: piece });
      await fc.assert(
        fc.asyncProperty(damage, async ({ at, drop, put }) => {
          const damaged = Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + drop)]);
          expect((await verdictOn(damaged)).ok).toBe(damaged.equals(bytes));
        }),
        { numRuns: 300 },
      );
    },
    30_000,
  );
});

/** The first line in which a file differs from what was recorded, from 1. */
function firstDifference(lines: readonly string[], others: readonly string[]): number {
  let at = 0;
  while (lines[at] === others[at]) at++;
  return at + 1;
}
