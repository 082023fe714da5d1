// Marks of a timeline, thinned to what a line can show. Pure.

export interface TimelineMark {
  /** Seconds. */
  readonly time: number;
  readonly label: string;
  readonly kind: 'ok' | 'failed' | 'running' | 'other';
}

/** Other marks tell of what is no command: a take-over, a reset. */
export const isCommandMark = ({ kind }: TimelineMark): boolean => kind !== 'other';

export interface Tick {
  readonly at: number;
  readonly label: string;
  readonly kind: TimelineMark['kind'];
}

/** More don't fit next to each other. */
const MAX_TICKS = 300;
const weight: Readonly<Record<TimelineMark['kind'], number>> = { other: 0, ok: 1, running: 2, failed: 3 };

/** One for each place of the line; where several would stand, the one that matters most, so that no failure is hidden. */
export function ticksOf(marks: readonly TimelineMark[], duration: number): readonly Tick[] {
  const width = Math.max(duration, 0.001) / MAX_TICKS;
  const places = new Map<number, Tick>();
  for (const { time, label, kind } of marks) {
    const place = Math.floor(time / width);
    const known = places.get(place);
    if (known === undefined || weight[kind] > weight[known.kind]) places.set(place, { at: time, label, kind });
  }
  return [...places.values()];
}

/** A moment is compared with marks as the player tells it, which rounds. */
const SAME_S = 0.005;
/** After this much of a command, going back goes to its own beginning first, as with songs. */
const AGAIN_S = 1;

/** The mark before or after a moment. Marks are ordered by time; several may lie within a blink, and none is passed over. */
export function neighbour(marks: readonly TimelineMark[], time: number, step: 1 | -1): TimelineMark | undefined {
  const at = marks.findLastIndex((mark) => mark.time <= time + SAME_S);
  const current = marks[at];
  if (step === 1) return marks[at + 1];
  if (current === undefined || time > current.time + AGAIN_S) return current;
  return marks.findLast((mark) => mark.time < current.time - SAME_S);
}
