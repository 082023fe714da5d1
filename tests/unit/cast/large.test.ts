// Figures for a large cast are printed, not judged: they depend on the machine. Memory and truth are judged.
import { createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { expect, test } from 'vitest';
import { CastEncoder } from '../../../protocol/asciicast.ts';
import { castHeader, shelf } from './shelf.ts';

const CAST_BYTES = 100 * 1024 * 1024;
const FRAME_CHARS = 2000;

/** Two hours of coloured build output with a number in each frame. */
function* lines(): Generator<string> {
  yield castHeader({ cast: 'cast_large' });
  const encoder = new CastEncoder(3);
  const filler = '\x1b[1;32mok\x1b[0m src/module/file.ts \x1b[2mcompiled in\x1b[0m 12 ms\r\n';
  const body = filler.repeat(Math.ceil(FRAME_CHARS / filler.length));
  for (let frame = 0, bytes = 0; bytes < CAST_BYTES; frame++) {
    const line = encoder.encode({ timeMs: frame * 200, code: 'o', data: `${body}frame ${frame}\r\n` });
    bytes += line.length;
    yield line;
  }
}

test('a cast of 100 MB is indexed in one pass in little memory, and any moment of it is found', async () => {
  const { library, dir } = await shelf();
  const path = join(dir, 'cast_large.cast');
  await pipeline(Readable.from(lines()), createWriteStream(path));
  const { size } = await stat(path);
  expect(size).toBeGreaterThan(CAST_BYTES);

  const beforeBytes = process.memoryUsage().rss;
  let peakBytes = 0;
  let stalledMs = 0;
  let lastMs = performance.now();
  const watch = setInterval(() => {
    peakBytes = Math.max(peakBytes, process.memoryUsage().rss);
    stalledMs = Math.max(stalledMs, performance.now() - lastMs - 5);
    lastMs = performance.now();
  }, 5);
  const timed = async <T>(work: () => Promise<T>): Promise<[T, number]> => {
    const startMs = performance.now();
    return [await work(), Math.round(performance.now() - startMs)];
  };
  const [info, indexMs] = await timed(() => library.info('cast_large'));
  const [, infoMs] = await timed(() => library.info('cast_large'));
  const [, chainMs] = await timed(() => library.seek('cast_large', info.duration));
  const seekMs: number[] = [];
  for (let part = 1; part <= 20; part++) {
    const time = Math.round(((info.duration * ((part * 7) % 20)) / 20) * 5) / 5;
    const [found, ms] = await timed(() => library.seek('cast_large', time));
    expect(found.screen).toContain(`frame ${Math.round(time * 5)}`);
    seekMs.push(ms);
  }
  const [, readMs] = await timed(() => library.read('cast_large', info.duration / 2, info.duration / 2 + 1));
  const [, segmentMs] = await timed(() => library.segment('cast_large', 100));
  clearInterval(watch);

  seekMs.sort((a, b) => a - b);
  const grownMiB = Math.round((peakBytes - beforeBytes) / 1024 / 1024);
  process.stdout.write(
    `${Math.round(size / 1e6)} MB cast: index ${indexMs} ms, info then ${infoMs} ms, all screens ${chainMs} ms, then a seek ${seekMs[10]} ms (at most ${seekMs.at(-1)} ms), ` +
      `read of 1 s ${readMs} ms, segment ${segmentMs} ms; memory +${grownMiB} MiB, longest stall ${Math.round(stalledMs)} ms\n`,
  );
  // Far below the file: the rest is what the collector has not come to yet.
  expect(grownMiB).toBeLessThan(95);
}, 120_000);
