// A long recording of an hour of work, written as a file before the gateway that finds it starts.
import { once } from 'node:events';
import { chmodSync, createWriteStream, mkdirSync } from 'node:fs';
import { join } from 'node:path';

export const CAST = 'cast_bench';
/** What a busy terminal prints at once. */
const LINES = 3;
const HOUR_S = 3600;

export const castFile = (dataDir) => join(dataDir, 'casts', `${CAST}.cast`);

/** Resolves with its duration in seconds. */
export async function writeCast(dataDir, bytes) {
  mkdirSync(join(dataDir, 'casts'), { recursive: true, mode: 0o700 });
  const file = createWriteStream(castFile(dataDir), { mode: 0o600 });
  const startedAt = Date.now() - HOUR_S * 1000;
  const slotcast = { cast: CAST, slot: 'slot_0', label: null, startedAt };
  const header = {
    version: 3,
    term: { cols: 80, rows: 24, type: 'xterm-256color' },
    timestamp: Math.floor(startedAt / 1000),
  };
  file.write(`${JSON.stringify({ ...header, slotcast })}\n`);
  const frameBytes = Buffer.byteLength(frame(0, 0));
  const stepS = Math.floor((HOUR_S * 1000 * frameBytes) / bytes) / 1000;
  let [written, count] = [0, 0];
  while (written < bytes) {
    let text = '';
    for (const end = written + text.length + 2 ** 20; written < end; count++) {
      const one = frame(count, stepS);
      text += one;
      written += one.length;
    }
    if (!file.write(text)) await once(file, 'drain');
  }
  file.end();
  await once(file, 'close');
  chmodSync(castFile(dataDir), 0o600);
  return count * stepS;
}

function frame(count, stepS) {
  const lines = Array.from({ length: LINES }, (_, at) => {
    const number = count * LINES + at;
    return `\x1b[3${number % 8}mstep ${number}\x1b[0m of the build: compiled, linked, checked ${'.'.repeat(number % 31)}\r\n`;
  });
  return `${JSON.stringify([Math.max(0.001, stepS), 'o', lines.join('')])}\n`;
}
