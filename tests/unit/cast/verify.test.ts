import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CastEncoder, encodeChainSeal, encodeHeader } from '../../../protocol/asciicast.ts';
import { type ChainLink, encodeLink, Section } from '../../../protocol/chain.ts';
import { Verifications } from '../../../server/cast/verify.ts';
import { chainHash } from '../../../server/keeper/chain-hash.ts';
import { directory, shelf } from './shelf.ts';

const BATCH_LINES = 500;

/** A recording with this many batches of output, some 100 bytes a line. */
async function recording(batches: number): Promise<string> {
  const path = join(await directory(), 'cast_big.cast');
  const encoder = new CastEncoder(3);
  let link: ChainLink | null = null;
  for (let batch = 0; batch <= batches; batch++) {
    const lines = Array.from({ length: BATCH_LINES }, (_, index) =>
      encoder.encode({ timeMs: batch, code: 'o', data: `${batch}.${index} ${'x'.repeat(80)}` }),
    );
    const text = batch === 0 ? encodeHeader({ version: 3, cols: 80, rows: 24 }) : lines.join('');
    const section: Section = new Section(link, chainHash);
    section.take(Buffer.from(text));
    link = section.link();
    await appendFile(path, text + encodeLink(link));
  }
  if (link === null) throw new Error('no link');
  await appendFile(path, encodeChainSeal({ duration: 1, frames: batches * BATCH_LINES, commands: 0 }, link, chainHash));
  return path;
}

test('while a large recording is verified others have their turn', async () => {
  const path = await recording(600);
  let longestMs = 0;
  let lastMs = performance.now();
  const ticks = setInterval(() => {
    longestMs = Math.max(longestMs, performance.now() - lastMs);
    lastMs = performance.now();
  }, 1);
  const verdict = await new Verifications().verify(path, 'cast_big');
  clearInterval(ticks);
  expect(verdict).toMatchObject({ ok: true, lines: 600 * (BATCH_LINES + 1) + 3 });
  expect(longestMs).toBeLessThan(500);
});

test('any number is asked for and all are answered, in order, until too many wait', async () => {
  const path = await recording(2);
  const verifications = new Verifications();
  const done: number[] = [];
  const asked = Array.from({ length: 102 }, async (_, number) => {
    await verifications.verify(path, 'cast_big');
    done.push(number);
  });
  await expect(verifications.verify(path, 'cast_big')).rejects.toMatchObject({ fault: 'RATE_LIMITED' });
  await Promise.all(asked);
  expect(done).toHaveLength(102);
  expect(done.at(0)).toBeLessThan(2);
  expect(done.at(-1)).toBeGreaterThan(99);
  expect(await verifications.verify(path, 'cast_big')).toMatchObject({ ok: true });
});

test('one that is given up ends at once and lets the next one in', async () => {
  const path = await recording(200);
  const verifications = new Verifications();
  const given = Array.from({ length: 20 }, () => new AbortController());
  const asked = given.map(({ signal }) => verifications.verify(path, 'cast_big', signal));
  for (const one of given) one.abort();
  for (const one of asked) await expect(one).rejects.toMatchObject({ name: 'AbortError' });
  expect(await verifications.verify(path, 'cast_big')).toMatchObject({ ok: true });
});

test('a recording that is not there, or that no other method can read', async () => {
  const { dir, library } = await shelf();
  await expect(library.verify('cast_none')).rejects.toMatchObject({ fault: 'CAST_NOT_FOUND' });
  await expect(library.verify('../cast_x')).rejects.toMatchObject({ fault: 'CAST_NOT_FOUND' });
  await writeFile(join(dir, 'cast_odd.cast'), Buffer.alloc(100_000, 0xff));
  expect(await library.verify('cast_odd')).toMatchObject({ ok: false, sealed: false, chained: false, lines: 0 });
});
