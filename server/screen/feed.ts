// The order in which frames are fed to an emulator, without what nobody could see afterwards: of a flood of plain lines only the last ones
// are left when it has run through. What is left out never changes the state: anything but text and its colours is fed as it is.
import type { NumberedFrame } from '../../protocol/frame.ts';
import type { Emulator } from './emulator.ts';

/** Anything but characters, line ends, tabs and SGR: it could change a mode or the way of the cursor. */
const NOT_PLAIN = /[\0-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]|\x1b(?!\[[0-9;:]*m)/;
const SGR = /\x1b\[[0-9;:]*m/g;
/** One that begins with a reset: what stands before it doesn't matter. */
const RESET = /^\x1b\[0*(?:;|m)/;

/** Gives the frames to feed, one by one; each must be fed before the next is asked for. */
export function* worthFeeding(emulator: Emulator, frames: readonly NumberedFrame[]): Generator<NumberedFrame> {
  /** Up to here the run of plain frames is known and cut. */
  let known = 0;
  for (let index = 0; index < frames.length; index++) {
    const frame = frames[index];
    if (frame === undefined) return;
    if (index < known || frame.code !== 'o' || !emulator.scrollsWhole) {
      yield frame;
      continue;
    }
    known = endOfPlain(frames, index);
    const cut = cutRun(frames, { first: index, end: known, lines: emulator.reach });
    if (cut === null) yield frame;
    else {
      yield cut.frame;
      index = cut.index;
    }
  }
}

/** Index after the last frame of the run; markers and input may stand in it. */
function endOfPlain(frames: readonly NumberedFrame[], first: number): number {
  let end = first;
  while (end < frames.length && isPlain(frames[end])) end++;
  return end;
}

function isPlain(frame: NumberedFrame | undefined): boolean {
  if (frame === undefined || frame.code === 'r') return false;
  return frame.code !== 'o' || !NOT_PLAIN.test(frame.data);
}

interface Run {
  readonly first: number;
  readonly end: number;
  /** Lines that must remain. */
  readonly lines: number;
}

/** The frame to begin with, cut at the start of a line; null when the whole run matters. */
function cutRun(frames: readonly NumberedFrame[], run: Run): { index: number; frame: NumberedFrame } | null {
  let lines = 0;
  for (let index = run.end - 1; index >= run.first; index--) {
    const frame = frames[index];
    if (frame === undefined || frame.code !== 'o') continue;
    let at = frame.data.length;
    while (lines < run.lines && at > 0) {
      at = frame.data.lastIndexOf('\n', at - 1);
      if (at === -1) break;
      lines++;
    }
    if (lines < run.lines) continue;
    const start = frame.data.lastIndexOf('\r\n', at - 1);
    // The column is known only after a whole line end.
    if (at <= 0 || start === -1) continue;
    const pen = penAfter(frames, { first: run.first, index, chars: start + 2 });
    return { index, frame: { ...frame, data: `\r${pen}${frame.data.slice(start + 2)}` } };
  }
  return null;
}

/** The SGR sequences since the last reset in what is left out: the frames from `first` to before `index`, and `chars` of that one. */
function penAfter(frames: readonly NumberedFrame[], left: { first: number; index: number; chars: number }): string {
  let pen = '';
  for (let index = left.index; index >= left.first; index--) {
    const frame = frames[index];
    if (frame === undefined || frame.code !== 'o') continue;
    const text = index === left.index ? frame.data.slice(0, left.chars) : frame.data;
    const sequences = text.match(SGR) ?? [];
    const reset = sequences.findLastIndex((sequence) => RESET.test(sequence));
    pen = sequences.slice(Math.max(0, reset)).join('') + pen;
    if (reset !== -1) break;
  }
  return pen;
}
