// What one terminal.run printed, from the recording: the frames between the shell's own marks, as text without escape sequences.
// It never holds more of it than asked for.
import { parseLabel } from '../../protocol/command-mark.ts';
import type { NumberedFrame } from '../../protocol/frame.ts';
import type { KeptOutput } from '../keeper/keeper.ts';
import { OutputKeeper } from '../keeper/output.ts';
import { PlainText } from './plain-text.ts';
import type { SeekIndex } from './seek-index.ts';
import { Slice } from './slice.ts';

/** The shell's mark before the output of a run; what stands before it is the echo of what was typed. */
const BEGIN = /\x1b\]133;C;r=\w{1,20};k=(\w{1,64})\x07/;
const MAX_BEGIN_CHARS = 100;
/** The shell's mark after it, with the same key; the prompt follows. */
const END = '\x1b]133;D;';
/** It holds a path of 4096 bytes, each as %XX at most. */
const MAX_END_CHARS = 16 * 1024;

/** The marker at which the run began. */
export interface RunStart {
  readonly seq: number;
  readonly timeMs: number;
  readonly process: string;
}

/** So far, when the run goes on. Faults: CAST_NOT_FOUND, CAST_DAMAGED. */
export async function runOutput(index: SeekIndex, start: RunStart, maxBytes: number): Promise<KeptOutput> {
  // A millisecond earlier, since a keyframe may stand between the marker and output of the same moment.
  const number = index.keyframeBefore(start.timeMs - 1);
  const { cols = 0, rows = 0 } = index.keyframes[number] ?? {};
  const kept = new OutputKeeper(maxBytes);
  const shown = new PlainText({ cols, rows });
  const span = new RunSpan();
  const slice = new Slice();
  try {
    for await (const batch of index.frames(number)) {
      for (const frame of batch) {
        if (span.over || isEnd(frame, start)) return finish(kept, shown);
        if (frame.code === 'r') shown.take(frame);
        if (frame.code !== 'o' || frame.seq < start.seq) continue;
        kept.append(Buffer.from(shown.take({ code: 'o', data: span.take(frame.data) })));
        if (slice.over) await slice.rest();
      }
    }
    return finish(kept, shown);
  } finally {
    shown.close();
  }
}

function isEnd({ code, data, seq }: NumberedFrame, start: RunStart): boolean {
  if (code !== 'm' || seq <= start.seq) return false;
  const said = parseLabel(data);
  return said?.kind === 'end' && said.process === start.process;
}

function finish(kept: OutputKeeper, shown: PlainText): KeptOutput {
  const rest = shown.rest();
  const newline = rest !== '' && shown.atLineStart ? '\n' : '';
  kept.append(Buffer.from(rest + newline));
  return kept.kept();
}

/** Lets through what stands between the two marks, however it is cut. */
class RunSpan {
  over = false;
  #key: string | null = null;
  /** A tail that may be part of a mark. */
  #held = '';

  take(data: string): string {
    const text = this.#held + data;
    this.#held = '';
    if (this.#key !== null) return this.#inside(text);
    const begin = BEGIN.exec(text);
    if (begin === null) {
      this.#held = text.slice(-MAX_BEGIN_CHARS);
      return '';
    }
    this.#key = begin[1] ?? '';
    return this.#inside(text.slice(begin.index + begin[0].length));
  }

  #inside(text: string): string {
    for (let from = 0; ; from += END.length) {
      from = text.indexOf(END, from);
      if (from === -1) return this.#holdBack(text, partOfEnd(text));
      const end = text.indexOf('\x07', from);
      if (end === -1 && text.length - from <= MAX_END_CHARS) return this.#holdBack(text, from);
      if (end !== -1 && text.slice(from, end).endsWith(`;k=${this.#key}`)) {
        this.over = true;
        return text.slice(0, from);
      }
    }
  }

  #holdBack(text: string, from: number): string {
    this.#held = text.slice(from);
    return text.slice(0, from);
  }
}

/** Where a tail begins that may become END; the length when none does. */
function partOfEnd(text: string): number {
  const start = text.lastIndexOf('\x1b');
  return start !== -1 && END.startsWith(text.slice(start)) ? start : text.length;
}
