import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { CastDecoder } from '../../../protocol/asciicast.ts';
import type { ExportFormat } from '../../../server/cast/export.ts';
import { type Event, longSession, shelf } from './shelf.ts';

const run = promisify(execFile);

async function exported(events: readonly Event[], format: ExportFormat, sealed = true) {
  const { library, put, dir } = await shelf();
  const path = await put({ cast: 'cast_e', sealed }, events);
  const found = await library.export('cast_e', format);
  const pieces: Buffer[] = [];
  for await (const piece of found.stream()) pieces.push(Buffer.from(piece));
  return { ...found, body: Buffer.concat(pieces), path, dir, library };
}

test('v3 is the file as it is, with its length', async () => {
  const { body, bytes, contentType, path, library } = await exported(longSession(5000), 'v3');
  expect(body.equals(await readFile(path))).toBe(true);
  expect(bytes).toBe(body.length);
  expect(contentType).toBe('application/x-asciicast');
  const part: Buffer[] = [];
  const again = await library.export('cast_e', 'v3');
  for await (const piece of again.stream({ start: 1000, end: 300_000 })) part.push(Buffer.from(piece));
  expect(Buffer.concat(part).equals(body.subarray(1000, 300_001))).toBe(true);
});

test('a live v3 is cut at the last whole line', async () => {
  const { library, put } = await shelf({ cast_live: { durationMs: 1 } });
  const path = await put({ cast: 'cast_live', sealed: false }, [[1, 'o', 'x']]);
  const whole = await readFile(path, 'utf8');
  await writeFile(path, `${whole}[0.1, "o", "to`);
  const { bytes, stream } = await library.export('cast_live', 'v3');
  let body = '';
  for await (const piece of stream()) body += piece.toString();
  expect(body).toBe(whole);
  expect(bytes).toBe(Buffer.byteLength(whole));
});

test('v2 has the same events at the same times, and asciinema plays it', async () => {
  const events = longSession(4000);
  const { body, dir } = await exported(events, 'v2');
  const found = [...new CastDecoder().decode(body)];
  expect(found[0]).toMatchObject({ kind: 'header', header: { version: 2, cols: 40, rows: 10 } });
  const times = found.flatMap((item) => (item.kind === 'event' ? [[item.timeMs, item.code, item.data]] : []));
  expect(times).toEqual(events);
  const path = join(dir, 'v2.cast');
  await writeFile(path, body);
  // It wants a terminal, though it doesn't use it.
  const env = { ...process.env, LC_ALL: 'C.UTF-8' };
  await run('script', ['-qec', 'asciinema cat v2.cast >shown', '/dev/null'], { cwd: dir, env });
  const shown = await readFile(join(dir, 'shown'), 'utf8');
  expect(shown).toBe(events.flatMap(([, code, data]) => (code === 'o' ? [data] : [])).join(''));
});

test('txt has every line that ran through the terminal, whole again where it was wrapped, without colours', async () => {
  const lines = Array.from({ length: 20_000 }, (_, line) => `line ${line} ${'.'.repeat(line % 100)}end`);
  const events = lines.map((line, index): Event => [index, 'o', `\x1b[3${index % 8}m${line}\x1b[0m\r\n`]);
  events.splice(
    5000,
    0,
    [5000, 'o', '\x1b[?1049hfull screen\x1b[2J'],
    [5000, 'r', '60x20'],
    [5000, 'o', '\x1b[?1049l'],
  );
  const { body, contentType } = await exported(events, 'txt');
  expect(body.toString()).toBe(`${lines.join('\n')}\n`);
  expect(contentType).toBe('text/plain; charset=utf-8');
});

test('txt shows what was left of a line that was written over', async () => {
  const { body } = await exported([[1, 'o', ' 10%\r 50%\r100%\r\ndone\x1b[K']], 'txt');
  expect(body.toString()).toBe('100%\ndone\n');
});

test('txt of a cast without output is empty', async () => {
  expect((await exported([], 'txt')).body.toString()).toBe('');
});
