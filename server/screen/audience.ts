// All viewers of one log, as far as they do the same: told once for all that came in one turn of the event loop, and given the same pieces, so
// that what is made of a piece is made once. It never waits for a viewer.
import type { NumberedFrame } from '../../protocol/frame.ts';
import { mayHoldBack } from '../../protocol/viewer-text.ts';
import type { FrameLog, Gap } from '../keeper/frame-log.ts';

/** Frames for one message: small enough to be encoded in well under a millisecond, large enough for a flood. */
const READ_BYTES = 128 * 1024;

export interface Piece {
  readonly frames: readonly NumberedFrame[];
  /** Whether all of it may be shown as it is to whoever has seen whole sequences until here. */
  readonly isPlain: boolean;
}

const NOTHING: Piece = { frames: [], isPlain: true };

export class Audience {
  readonly #log: FrameLog;
  readonly #viewers = new Set<() => void>();
  #subscription: { close(): void } | null = null;
  /** Viewers will be told at the end of this turn. */
  #isDue = false;
  /** What was read last, and after which frame: as a rule all viewers read the same. */
  #last: (Piece & { readonly after: number; readonly lastSeq: number }) | null = null;

  constructor(log: FrameLog) {
    this.#log = log;
  }

  /** Calls once for all that was appended in a turn, and at the end of the log, until it is closed. It must not throw. */
  join(viewer: () => void): { close(): void } {
    this.#viewers.add(viewer);
    this.#subscription ??= this.#log.listen(() => this.#tellSoon());
    return {
      close: () => {
        this.#viewers.delete(viewer);
        if (this.#viewers.size > 0) return;
        this.#subscription?.close();
        this.#subscription = null;
        this.#last = null;
      },
    };
  }

  /** The frames after this one; none when there are none yet, the gap when some of them are gone. */
  read(after: number): Piece | Gap {
    // As each viewer finds after each piece: it must not take the place of what the next one reads.
    if (after === this.#log.lastSeq) return NOTHING;
    const last = this.#last;
    if (last !== null && last.after === after && last.lastSeq === this.#log.lastSeq) return last;
    const frames = this.#log.read(after, READ_BYTES);
    if ('from' in frames) return frames;
    const isPlain = !frames.some(({ code, data }) => code === 'o' && mayHoldBack(data));
    this.#last = { after, lastSeq: this.#log.lastSeq, frames, isPlain };
    return this.#last;
  }

  #tellSoon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      for (const viewer of this.#viewers) viewer();
    });
  }
}
