// Pauses of a recording in which nothing is printed, and what is skipped of them. Pure.

/** Seconds of a pause that are kept, so that it still reads as one. */
const KEPT_S = 1;
/** Seconds before its end where playing goes on: what comes next is seen to come. */
const BEFORE_END_S = 0.3;

/** Where to go on when `time` is in the part of a pause that is skipped; null when it isn't in one. */
export function pauseAt(
  pauses: readonly (readonly [from: number, to: number])[],
  time: number,
  speed: number,
): number | null {
  for (const [from, to] of pauses) {
    if (from > time) return null;
    const end = to - BEFORE_END_S;
    if (time >= from + KEPT_S * Math.min(speed, 4) && time < end) return end;
  }
  return null;
}
