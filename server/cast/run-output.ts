// What one terminal.run printed, from the recording: the frames between the shell's own marks, as text without escape sequences.
// It never holds more of it than asked for.
import { parseLabel } from '../../protocol/command-mark.ts';
import type { NumberedFrame } from '../../protocol/frame.ts';
import type { KeptOutput } from '../keeper/keeper.ts';
import { leftOut, OutputKeeper } from '../keeper/output.ts';
import { PlainText } from './plain-text.ts';
import { RunSpan } from './run-span.ts';
import type { SeekIndex } from './seek-index.ts';
import { Slice } from './slice.ts';

/** Read of the beginning and of the end of a run that printed more than both: half a second of work, whatever it printed. */
const PART_BYTES = 4 * 1024 * 1024;

/** The marker at which the run began. */
export interface RunStart {
  readonly seq: number;
  readonly timeMs: number;
  readonly process: string;
}

export interface RunText {
  readonly kept: KeptOutput;
  /** Something is left out of it, or of what was read for it. */
  readonly truncated: boolean;
}

/** So far, when the run goes on. Faults: CAST_NOT_FOUND, CAST_DAMAGED. */
export async function runOutput(index: SeekIndex, start: RunStart, maxBytes: number): Promise<RunText> {
  const [first, ...later] = partsOf(index, start);
  const text = new Transcript(maxBytes, index.keyframes[first.keyframe]);
  try {
    await readPart(index, { ...first, start }, text);
    for (const part of later) {
      text.skip(part.skipped, index.keyframes[part.keyframe]);
      await readPart(index, { ...part, start }, text);
    }
    return text.finish();
  } finally {
    text.close();
  }
}

interface Part {
  /** Number of the one to begin at. */
  readonly keyframe: number;
  /** Byte of the file to end at. */
  readonly end: number;
  /** Bytes of the file between the part before and this one. */
  readonly skipped: number;
}

/** The stretch of the file that has the run; only its two ends when it is long. */
function partsOf({ keyframes, marks, end }: SeekIndex, start: RunStart): [Part, ...Part[]] {
  const last = marks.find((mark) => endsRun(mark.label, start) && mark.seq > start.seq)?.seq ?? end.seq;
  const past = keyframes.find(({ seq }) => seq >= last)?.offset ?? end.offset;
  const keyframe = Math.max(
    0,
    keyframes.findLastIndex(({ seq }) => seq < start.seq),
  );
  const firstEnd = (keyframes[keyframe]?.offset ?? 0) + PART_BYTES;
  const between = keyframes.find(({ offset }) => offset >= firstEnd)?.offset ?? past;
  const second = keyframes.findLastIndex(({ offset }) => offset <= past - PART_BYTES);
  const secondStart = keyframes[second]?.offset ?? 0;
  if (secondStart <= between) return [{ keyframe, end: past, skipped: 0 }];
  return [
    { keyframe, end: between, skipped: 0 },
    { keyframe: second, end: past, skipped: secondStart - between },
  ];
}

async function readPart(index: SeekIndex, part: Part & { readonly start: RunStart }, text: Transcript): Promise<void> {
  const { keyframe, end, start } = part;
  const slice = new Slice();
  for await (const batch of index.frames(keyframe, end)) {
    for (const frame of batch) {
      if (frame.seq > start.seq && frame.code === 'm' && endsRun(frame.data, start)) return;
      await text.take(frame, start.seq, slice);
      if (text.over) return;
      if (slice.over) await slice.rest();
    }
  }
}

function endsRun(label: string, { process }: RunStart): boolean {
  const said = parseLabel(label);
  return said?.kind === 'end' && said.process === process;
}

/** What has been shown of the run. */
class Transcript {
  readonly #kept: OutputKeeper;
  readonly #span = new RunSpan();
  #shown: PlainText;
  #skipped = false;

  constructor(maxBytes: number, size: Size = NO_SIZE) {
    this.#kept = new OutputKeeper(maxBytes);
    this.#shown = new PlainText(size);
  }

  /** Whether the run's end has come. */
  get over(): boolean {
    return this.#span.over;
  }

  /** The next frame; output before `from` is none of the run's. */
  async take(frame: NumberedFrame, from: number, slice: Slice): Promise<void> {
    if (frame.code === 'r') await this.#shown.take(frame, slice);
    if (frame.code === 'o' && frame.seq > from)
      this.#keep(await this.#shown.take({ code: 'o', data: this.#span.take(frame.data) }, slice));
  }

  skip(bytes: number, size: Size = NO_SIZE): void {
    this.#keepRest();
    this.#keep(`\n[… ${bytes} bytes of the recording left out …]\n`);
    this.#shown.close();
    this.#shown = new PlainText(size);
    this.#span.skip();
    this.#skipped = true;
  }

  finish(): RunText {
    this.#keepRest();
    const kept = this.#kept.kept();
    return { kept, truncated: this.#skipped || leftOut(kept) > 0 };
  }

  close(): void {
    this.#shown.close();
  }

  #keepRest(): void {
    const rest = this.#shown.rest();
    this.#keep(rest !== '' && this.#shown.atLineStart ? `${rest}\n` : rest);
  }

  #keep(text: string): void {
    if (text !== '') this.#kept.append(Buffer.from(text));
  }
}

interface Size {
  readonly cols: number;
  readonly rows: number;
}

/** Clamped by the emulator; a cast without a keyframe has no frames either. */
const NO_SIZE: Size = { cols: 0, rows: 0 };
