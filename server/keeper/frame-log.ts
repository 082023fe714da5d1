// The numbered log of one lease's frames: a ring of the newest ones in memory, on which everybody who looks is a cursor.
// It never waits for a reader.
import type { FrameCode, NumberedFrame } from '../../protocol/frame.ts';

/** Frames kept for cursors; about ten full screens redrawn a second for several seconds. */
export const RING_BYTES = 2 * 1024 * 1024;
/** Weight of a frame beside its data, so that a million empty ones are bounded too. */
export const FRAME_BYTES = 64;

/** Numbers of frames that are gone, both inclusive. */
export interface Gap {
  readonly from: number;
  readonly to: number;
}

/** Gets the new frame; null when the log has ended. */
export type FrameListener = (frame: NumberedFrame | null) => void;

export interface FrameLogOptions {
  readonly cast: string;
  readonly cols: number;
  readonly rows: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** For a log that goes on: the number and time of its last frame. */
  readonly lastSeq?: number;
  readonly lastTimeMs?: number;
  /** When it began, on the clock of `now`; by default so that the last frame came just now. */
  readonly startedMs?: number;
  readonly ringBytes?: number;
}

export class FrameLog {
  readonly cast: string;
  /** Size as of the last frame. */
  cols: number;
  rows: number;
  lastSeq: number;
  lastTimeMs: number;
  closed = false;
  /** Frames that came before are being told anew: whoever asked something in them is answered, or gone. */
  replaying = false;
  readonly #now: () => number;
  /** On the clock of `now`. */
  readonly #startedMs: number;
  /** Frames kept for cursors; may be changed at any time. */
  ringBytes: number;
  /** Evicted frames are undefined until their block is cut off: shift() of a long array is slow, and kept ones would be a leak. */
  #ring: (NumberedFrame | undefined)[] = [];
  /** Index in #ring of its first live frame. */
  #front = 0;
  #bytes = 0;
  readonly #listeners = new Set<FrameListener>();

  constructor(options: FrameLogOptions) {
    this.cast = options.cast;
    this.cols = options.cols;
    this.rows = options.rows;
    this.#now = options.now;
    this.lastSeq = options.lastSeq ?? 0;
    this.lastTimeMs = options.lastTimeMs ?? 0;
    this.#startedMs = options.startedMs ?? options.now() - this.lastTimeMs;
    this.ringBytes = options.ringBytes ?? RING_BYTES;
  }

  /** Milliseconds since the cast began, an integer that never goes back. */
  timeMs(): number {
    return Math.max(this.lastTimeMs, Math.round(this.#now() - this.#startedMs));
  }

  /** Number of the oldest frame that is still here; lastSeq + 1 when none is. */
  get firstSeq(): number {
    return this.lastSeq - (this.#ring.length - this.#front) + 1;
  }

  append(code: FrameCode, data: string): void {
    if (this.closed) throw new Error(`frame log of ${this.cast} is closed`);
    this.take({ seq: this.lastSeq + 1, timeMs: this.timeMs(), code, data });
  }

  /** Adds a frame that has its number already. Where numbers are missing, all frames before it are gone for readers. */
  protected take(frame: NumberedFrame): void {
    if (frame.code === 'r') {
      const [cols, rows] = frame.data.split('x');
      this.cols = Number(cols);
      this.rows = Number(rows);
    }
    if (frame.seq !== this.lastSeq + 1) this.#forget();
    this.#ring.push(frame);
    this.lastSeq = frame.seq;
    this.lastTimeMs = frame.timeMs;
    this.#bytes += frame.data.length + FRAME_BYTES;
    this.#evict();
    for (const listener of this.#listeners) listener(frame);
  }

  /** Frames after `after`, oldest first, up to about `maxBytes` but at least one; or the gap when some of them are gone. */
  read(after: number, maxBytes: number): readonly NumberedFrame[] | Gap {
    const first = this.firstSeq;
    if (after + 1 < first) return { from: after + 1, to: first - 1 };
    const frames: NumberedFrame[] = [];
    let bytes = 0;
    for (let index = this.#front + (after + 1 - first); index < this.#ring.length && bytes < maxBytes; index++) {
      const frame = this.#ring[index];
      if (frame === undefined) break;
      frames.push(frame);
      bytes += frame.data.length + FRAME_BYTES;
    }
    return frames;
  }

  /** Calls after every append, within it, and at the end; the listener reads what it wants. It must not append. */
  listen(listener: FrameListener): { close(): void } {
    this.#listeners.add(listener);
    return { close: () => void this.#listeners.delete(listener) };
  }

  /** No frame follows; listeners are told once more. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const listener of this.#listeners) listener(null);
    this.#listeners.clear();
  }

  #forget(): void {
    this.#ring = [];
    this.#front = 0;
    this.#bytes = 0;
  }

  #evict(): void {
    while (this.#bytes > this.ringBytes && this.#ring.length - this.#front > 1) {
      const oldest = this.#ring[this.#front];
      this.#ring[this.#front++] = undefined;
      this.#bytes -= (oldest?.data.length ?? 0) + FRAME_BYTES;
    }
    if (this.#front > 1024 && this.#front > this.#ring.length / 2) {
      this.#ring = this.#ring.slice(this.#front);
      this.#front = 0;
    }
  }
}
