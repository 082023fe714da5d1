// The order in which frames are fed to an emulator, without what nobody could see afterwards: of a flood of plain lines only the last ones
// are left when it has run through. What is left out never changes the state; anything but plain text is fed as it is.
import type { NumberedFrame } from '../../protocol/frame.ts';
import type { Emulator } from './emulator.ts';

/** Characters and line ends, nothing that could change a mode, the pen or the way of the cursor. */
const PLAIN = /^[\t\n\r\x20-\x7e\u00a0-\uffff]*$/;

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
  return frame.code !== 'o' || PLAIN.test(frame.data);
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
    if (at > 0 && start !== -1) return { index, frame: { ...frame, data: `\r${frame.data.slice(start + 2)}` } };
  }
  return null;
}
