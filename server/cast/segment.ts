// A cast as the asciinema player's segmented recording: an index, and parts that each begin with a screen. Pure: it gets frames and screens.
// Times are whole milliseconds divided by 1000 everywhere, because the player compares them as numbers.

import { parseLabel } from '../../protocol/command-mark.ts';
import type { NumberedFrame } from '../../protocol/frame.ts';
import { playable } from '../../protocol/player-text.ts';
import type { Keyframe, Mark } from './seek-index.ts';

/** An empty recording has to last too; the shortest that the player's clock tells from nothing. */
const MIN_DURATION_MS = 1;

export interface SegmentIndex {
  readonly version: 1;
  /** Seconds. */
  readonly duration: number;
  readonly term: { readonly cols: number; readonly rows: number };
  readonly markers: readonly (readonly [time: number, label: string])[];
  readonly segments: readonly { readonly start: number; readonly url: string }[];
}

export interface Segment {
  readonly snapshot: { readonly cols: number; readonly rows: number; readonly init: string };
  readonly events: readonly (readonly [time: number, code: string, data: string])[];
}

/** A recording up to a moment, after which it doesn't change any more. */
export interface Frozen {
  readonly keyframes: readonly Keyframe[];
  readonly marks: readonly Mark[];
  readonly durationMs: number;
}

/** What stands before `durationMs`: segments begin before the end, and keep their numbers however far the recording goes. */
export function freeze(keyframes: readonly Keyframe[], marks: readonly Mark[], untilMs: number): Frozen {
  const durationMs = Math.max(MIN_DURATION_MS, Math.round(untilMs));
  return {
    keyframes: keyframes.filter((keyframe, number) => number === 0 || keyframe.startMs < durationMs),
    marks: marks.filter((mark) => mark.timeMs <= durationMs),
    durationMs,
  };
}

export function segmentIndex(frozen: Frozen, url: (segment: number) => string): SegmentIndex {
  const { keyframes, marks, durationMs } = frozen;
  const { cols = 0, rows = 0 } = keyframes[0] ?? {};
  return {
    version: 1,
    duration: durationMs / 1000,
    term: { cols, rows },
    markers: marks.flatMap(({ timeMs, label }) => chapter(label).map((command) => [timeMs / 1000, command] as const)),
    segments: keyframes.map(({ startMs }, number) => ({ start: startMs / 1000, url: url(number) })),
  };
}

/** Segment `number` of a frozen recording, from the screen at its keyframe and the frames up to the next one. */
export function segment(
  frozen: Frozen,
  number: number,
  given: { screen: string; frames: readonly NumberedFrame[] },
): Segment {
  const { keyframes, durationMs } = frozen;
  const { cols = 0, rows = 0 } = keyframes[number] ?? {};
  const isLast = number === keyframes.length - 1;
  const events = given.frames.filter((frame) => frame.timeMs <= durationMs).flatMap(eventOf);
  const end = [durationMs / 1000, 'o', ''] as const;
  // The first segment may have nothing to show before the second one begins, yet must have an event.
  const filler = isLast ? [end] : events.length === 0 ? [[0, 'o', ''] as const] : [];
  return { snapshot: { cols, rows, init: playable(given.screen) }, events: [...events, ...filler] };
}

function eventOf({ timeMs, code, data }: NumberedFrame): (readonly [number, string, string])[] {
  if (code !== 'm') return [[timeMs / 1000, code, playable(data)]];
  return chapter(data).map((command) => [timeMs / 1000, code, command] as const);
}

/** The label that a viewer sees: a command at its start, and markers of other kinds; the end of a command is no chapter. */
function chapter(label: string): string[] {
  const said = parseLabel(label);
  if (said === null) return [label];
  return said.kind === 'start' ? [said.command] : [];
}
