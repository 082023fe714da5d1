// Where a cast can be entered, its markers, and its end: made in one pass over the file, which may still grow.
// It holds a few numbers for each quarter of a megabyte, the pauses and the first markers, never frames.
import type { FileHandle } from 'node:fs/promises';
import { CastError, type CastHeader, type CastItem, type CastSeal } from '../../protocol/asciicast.ts';
import { parseLabel } from '../../protocol/command-mark.ts';
import { Fault } from '../../protocol/fault.ts';
import type { FrameCode, NumberedFrame } from '../../protocol/frame.ts';
import { frameCodes } from '../../protocol/vocabulary.ts';
import { Idle, type IdleState } from './idle.ts';
import { openCast, type Part, type Place, readItems, START, wholeBytes, withFile } from './recording.ts';
import type { Summary } from './summary.ts';
import { Tally } from './tally.ts';

/** A keyframe each so often, so that a player loads little for a slow cast … */
const KEYFRAME_MS = 30_000;
/** … and each so many characters of output, so that a seek parses a few milliseconds' worth in a fast one. */
const KEYFRAME_CHARS = 256 * 1024;

/** A reply of some megabytes: two weeks of a command a minute. */
const MAX_MARKS = 50_000;

/** A place before an `o` or `r` frame that comes later than every frame before it. */
export interface Keyframe extends Place {
  /** Time of the frame that follows. */
  readonly startMs: number;
  /** Size of the terminal there. */
  readonly cols: number;
  readonly rows: number;
}

export interface Mark {
  readonly timeMs: number;
  readonly seq: number;
  readonly label: string;
}

/** What an index knows, to be kept. */
export interface Places {
  readonly keyframes: readonly Keyframe[];
  readonly marks: readonly Mark[];
  readonly idle: IdleState;
  /** Of the last frame. */
  readonly end: { readonly seq: number; readonly timeMs: number; readonly cols: number; readonly rows: number };
}

/** What has been read so far. One that is changed with each line: a copy for each would take as long as to read it. */
interface Reached {
  offset: number;
  seq: number;
  timeMs: number;
  cols: number;
  rows: number;
  /** Characters of output since the last keyframe. */
  chars: number;
}

export class SeekIndex {
  readonly cast: string;
  readonly path: string;
  header: CastHeader | null = null;
  seal: CastSeal | null = null;
  readonly keyframes: Keyframe[] = [];
  /** The first MAX_MARKS, and how the commands among them ended. */
  readonly marks: Mark[] = [];
  /** Commands among the marks that have not ended so far: no more than may run at once. */
  readonly #open = new Set<string>();
  idle = new Idle();
  /** Of what this index has read itself: what was taken over knows no sum. */
  tally = new Tally();
  /** Whether what is known was taken over, and nothing was read. */
  isTakenOver = false;
  readonly end: Reached = { ...START, cols: 0, rows: 0, chars: 0 };
  #damage: CastError | null = null;
  #turn: Promise<void> = Promise.resolve();

  constructor(cast: string, path: string) {
    this.cast = cast;
    this.path = path;
  }

  /** Reads what the file has got since the last time. Faults: CAST_NOT_FOUND; CAST_DAMAGED when the header can't be read. */
  update(): Promise<void> {
    const done = this.#turn.then(() => withFile(this.path, this.cast, (file) => this.#extend(file)));
    this.#turn = done.catch(() => {});
    return done;
  }

  /** null unless everything up to the seal can be read. */
  get places(): Places | null {
    if (this.seal === null || this.#damage !== null) return null;
    const { seq, timeMs, cols, rows } = this.end;
    return { keyframes: this.keyframes, marks: this.marks, idle: this.idle.state, end: { seq, timeMs, cols, rows } };
  }

  /** Instead of reading a sealed cast: what another index has learned from it. */
  takeOver({ header, seal, bytes }: Summary, { keyframes, marks, idle, end }: Places): void {
    this.header = header;
    this.seal = seal;
    for (const keyframe of keyframes) this.keyframes.push(keyframe);
    for (const mark of marks) this.marks.push(mark);
    this.idle = new Idle(idle);
    Object.assign(this.end, end, { offset: bytes });
    this.isTakenOver = true;
  }

  /** Throws CAST_DAMAGED unless everything up to this moment can be read. */
  assertSound(untilMs = Number.POSITIVE_INFINITY): void {
    if (this.#damage !== null && untilMs > this.end.timeMs) throw damaged(this.cast, this.#damage, this.end.timeMs);
  }

  /** Number of the last keyframe at which nothing after this moment has happened yet. */
  keyframeBefore(timeMs: number): number {
    let low = 0;
    let high = this.keyframes.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.keyframes[middle]?.timeMs ?? 0) <= timeMs) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The frames from a keyframe on to a byte (as a rule that of another keyframe), in batches. */
  async *frames(keyframe: number, endOffset = this.end.offset): AsyncGenerator<readonly NumberedFrame[]> {
    const from = this.keyframes[keyframe];
    if (from === undefined || this.header === null) return;
    const part: Part = { from, end: endOffset, version: this.header.version };
    yield* framesOf(this.path, this.cast, part);
  }

  async #extend(file: FileHandle): Promise<void> {
    if ((await file.stat()).size === this.end.offset) return;
    const size = await wholeBytes(file);
    if (size < this.end.offset) this.#forget();
    if (this.#damage !== null || size === this.end.offset) return;
    const part: Part = { from: { ...this.end }, end: size, version: this.header?.version ?? 3 };
    try {
      for await (const items of readItems(file, part)) for (const item of items) this.#take(item);
    } catch (error) {
      if (!(error instanceof CastError)) throw error;
      if (this.header === null) throw damaged(this.cast, error, 0);
      this.#damage = error;
    }
  }

  /** The file was cut: what was read is not there any more. */
  #forget(): void {
    this.header = null;
    this.seal = null;
    this.keyframes.length = 0;
    this.marks.length = 0;
    this.#open.clear();
    this.idle = new Idle();
    this.tally = new Tally();
    this.isTakenOver = false;
    Object.assign(this.end, { ...START, cols: 0, rows: 0, chars: 0 });
  }

  #take(item: CastItem): void {
    if (item.kind === 'header') this.#begin(item.header, item.end);
    else if (item.kind === 'seal') this.seal = item.seal;
    else if (item.kind === 'gap') this.end.seq = Math.max(this.end.seq, item.gap.to);
    else if (item.kind === 'event') this.#event(item);
    this.end.offset = item.end;
  }

  #begin(header: CastHeader, offset: number): void {
    this.header = header;
    const { cols, rows } = header;
    Object.assign(this.end, { ...START, offset, cols, rows, chars: 0 });
    this.keyframes.push({ ...START, offset, startMs: 0, cols, rows });
  }

  /** A lease can make ten thousand of them a second; whoever looks at its recording gets them in one reply. */
  #mark(mark: Mark): void {
    const said = parseLabel(mark.label);
    const isKept = this.marks.length < MAX_MARKS;
    const endsKept = said?.kind === 'end' && this.#open.delete(said.process);
    if (isKept && said?.kind === 'start') this.#open.add(said.process);
    if (isKept || endsKept) this.marks.push(mark);
  }

  #event(event: CastItem & { kind: 'event' }): void {
    const { timeMs, seq, code, data } = event;
    const { end } = this;
    const draws = code === 'o' || code === 'r';
    const due = end.chars >= KEYFRAME_CHARS || timeMs - (this.keyframes.at(-1)?.startMs ?? 0) >= KEYFRAME_MS;
    if (draws && due && timeMs > end.timeMs) {
      const { cols, rows } = end;
      this.keyframes.push({ offset: event.start, seq: end.seq, timeMs: end.timeMs, startMs: timeMs, cols, rows });
      end.chars = 0;
    }
    if (code === 'o') {
      this.idle.output(timeMs);
      end.chars += data.length;
    } else if (code === 'm') {
      this.tally.take(data);
      this.#mark({ timeMs, seq, label: data });
    } else if (code === 'r') Object.assign(end, sizeOf(data));
    end.seq = seq;
    end.timeMs = timeMs;
  }
}

const codes: ReadonlySet<string> = new Set(frameCodes);
const isFrameCode = (code: string): code is FrameCode => codes.has(code);

async function* framesOf(path: string, cast: string, part: Part): AsyncGenerator<readonly NumberedFrame[]> {
  const file = await openCast(path, cast);
  try {
    for await (const items of readItems(file, part)) yield items.flatMap(frameOf);
  } catch (error) {
    throw error instanceof CastError ? damaged(cast, error, null) : error;
  } finally {
    await file.close();
  }
}

function frameOf(item: CastItem): NumberedFrame[] {
  if (item.kind !== 'event' || !isFrameCode(item.code)) return [];
  const { seq, timeMs, code, data } = item;
  return [{ seq, timeMs, code, data }];
}

function sizeOf(data: string): { cols: number; rows: number } | null {
  const [, cols, rows] = /^(\d{1,5})x(\d{1,5})$/.exec(data) ?? [];
  return cols === undefined || rows === undefined ? null : { cols: Number(cols), rows: Number(rows) };
}

function damaged(cast: string, error: CastError, soundMs: number | null): Fault {
  const sound = soundMs === null ? '' : ` Everything before ${(soundMs / 1000).toFixed(3)} s can be read.`;
  return new Fault('CAST_DAMAGED', `${cast} can't be read on from line ${error.line}: ${plain(error)}.${sound}`, {
    line: error.line,
  });
}

const plain = (error: CastError): string => error.message.replace(/^line \d+: /, '');
