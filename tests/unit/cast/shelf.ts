// A directory of real cast files, written as the recorder writes them.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { CastEncoder, encodeHeader, encodeSeal } from '../../../protocol/asciicast.ts';
import { isCommandStart } from '../../../protocol/command-mark.ts';
import type { FrameCode } from '../../../protocol/frame.ts';
import type { LiveCast } from '../../../server/cast/index-cache.ts';
import { Library } from '../../../server/cast/library.ts';

export type Event = readonly [timeMs: number, code: FrameCode, data: string];

export interface CastText {
  readonly cast: string;
  readonly slot?: string;
  readonly label?: string | null;
  readonly startedAt?: number;
  readonly sealed?: boolean;
}

export const SIZE = { cols: 40, rows: 10 };

export function castHeader({ cast, slot = 'slot_1', label = null, startedAt = 1_700_000_000_000 }: CastText): string {
  return encodeHeader({ version: 3, ...SIZE, termType: 'xterm-256color', slotcast: { cast, slot, label, startedAt } });
}

export function castText(about: CastText, events: readonly Event[]): string {
  const encoder = new CastEncoder(3);
  const lines = events.map(([timeMs, code, data]) => encoder.encode({ timeMs, code, data }));
  const commands = events.filter(([, code, data]) => code === 'm' && isCommandStart(data)).length;
  const duration = (events.at(-1)?.[0] ?? 0) / 1000;
  const seal = about.sealed === false ? '' : encodeSeal({ duration, frames: events.length, commands });
  return castHeader(about) + lines.join('') + seal;
}

const directories: string[] = [];
const libraries: Library[] = [];

afterEach(async () => {
  // What one learns it writes down in the background.
  for (const library of libraries.splice(0)) await library.close();
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true, force: true });
});

export async function directory(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'slotcast-cast-'));
  directories.push(made);
  return made;
}

export function libraryOf(dir: string, live: Readonly<Record<string, LiveCast>> = {}): Library {
  return closedAfterwards(new Library({ dir, live: (cast) => live[cast] ?? null }));
}

/** Before its directory is removed. */
export function closedAfterwards(library: Library): Library {
  libraries.push(library);
  return library;
}

export async function shelf(live: Readonly<Record<string, LiveCast>> = {}) {
  const dir = await directory();
  const library = libraryOf(dir, live);
  const put = async (about: CastText, events: readonly Event[]): Promise<string> => {
    const path = join(dir, `${about.cast}.cast`);
    await writeFile(path, castText(about, events));
    return path;
  };
  return { dir, library, put };
}

/** An hour with something each second, colours, resizes, a full-screen program and commands. */
export function longSession(seconds = 3600): Event[] {
  const events: Event[] = [];
  for (let second = 0; second < seconds; second++) {
    const at = second * 1000 + (second % 7);
    events.push([at, 'o', `\x1b[3${second % 8}msecond ${second}\x1b[0m ${'.'.repeat(second % 50)}\r\n`]);
    if (second % 100 === 50) events.push([at, 'm', `p${second} $ step ${second}`]);
    if (second % 100 === 60) events.push([at, 'm', `p${second - 10} exited 0 10000ms`]);
    if (second % 300 === 200) events.push([at, 'r', second % 600 === 200 ? '60x15' : '40x10']);
    if (second % 400 === 350) events.push([at, 'o', '\x1b[?1049h\x1b[2J\x1b[?25l\x1b[3;3Hfull']);
    if (second % 400 === 380) events.push([at, 'o', '\x1b[?25h\x1b[?1049l']);
  }
  return events;
}
