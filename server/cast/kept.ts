// What was learned from a large cast that is sealed, kept beside it as NAME.screens: where it can be entered, and the screens there.
// It believes no file that doesn't fit its cast, and never fails because one can't be written.
import { z } from 'zod';
import type { Mark, Places } from './seek-index.ts';
import { readSidecar, writeSidecar } from './sidecar.ts';

/** Behind the name of a cast. */
export const SCREENS = '.screens';
/** A sealed cast from this size on has such a file: to read and draw all of a smaller one takes some hundredths of a second. */
export const KEPT_FROM_BYTES = 4 * 1024 * 1024;
/** Screens of some gigabytes of cast; what is larger is no file of ours. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;

export interface Kept {
  readonly places: Places;
  /** One for each keyframe. */
  readonly screens: readonly string[];
}

const whole = z.int();

/** Rows without names: there are tens of thousands of some. */
const file = z.strictObject({
  version: z.literal(2),
  /** Of the cast: a sealed one doesn't change. */
  bytes: whole,
  screens: z.array(z.string()),
  /** offset, seq, timeMs, startMs, cols, rows */
  keyframes: z.array(z.tuple([whole, whole, whole, whole, whole, whole])).min(1),
  /** timeMs, seq, label */
  marks: z.array(z.tuple([whole, whole, z.string()])),
  /** fromMs, toMs */
  idle: z.array(z.tuple([whole, whole])),
  /** Of the last output. */
  lastMs: whole,
  /** Of the last frame. */
  end: z.strictObject({ seq: whole, timeMs: whole, cols: whole, rows: whole }),
});

/** null when there is none that fits a cast of this size. */
export async function readKept(path: string, bytes: number): Promise<Kept | null> {
  const found = file.safeParse(await readSidecar(path, MAX_FILE_BYTES));
  if (!found.success || found.data.bytes !== bytes) return null;
  const { screens, idle, lastMs, end } = found.data;
  const keyframes = found.data.keyframes.map(([offset, seq, timeMs, startMs, cols, rows]) => {
    return { offset, seq, timeMs, startMs, cols, rows };
  });
  if (screens.length !== keyframes.length) return null;
  const marks = found.data.marks.map(([timeMs, seq, label]): Mark => ({ timeMs, seq, label }));
  const ranges = idle.map(([fromMs, toMs]) => ({ fromMs, toMs }));
  return { screens, places: { keyframes, marks, idle: { ranges, lastMs }, end } };
}

/** Whole or not at all. */
export async function writeKept(path: string, bytes: number, { places, screens }: Kept): Promise<void> {
  const { keyframes, marks, idle, end } = places;
  const said: z.infer<typeof file> = {
    version: 2,
    bytes,
    screens: [...screens],
    keyframes: keyframes.map((one) => [one.offset, one.seq, one.timeMs, one.startMs, one.cols, one.rows]),
    marks: marks.map(({ timeMs, seq, label }) => [timeMs, seq, label]),
    idle: idle.ranges.map(({ fromMs, toMs }) => [fromMs, toMs]),
    lastMs: idle.lastMs,
    end,
  };
  await writeSidecar(path, said).catch(() => undefined);
}
