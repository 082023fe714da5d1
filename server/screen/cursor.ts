// A viewer's place in the frame log: gives the screen once, then every frame after it, and a fresh screen when it was too slow.
// What would reach beyond a viewer's screen is left out here, for every kind of viewer. It never slows the log: what it has not read in time is gone for it, and it is told so.
import type { NumberedFrame } from '../../protocol/frame.ts';
import { ViewerText } from '../../protocol/viewer-text.ts';
import type { FrameLog, Gap } from '../keeper/frame-log.ts';
import type { LiveScreen, ScreenState } from './live-screen.ts';

/** Frames for one message: small enough to be encoded in well under a millisecond, large enough for a flood. */
const READ_BYTES = 128 * 1024;

export interface FreshScreen {
  readonly kind: 'screen';
  readonly state: ScreenState;
  /** The frames that the screen stands for and that were not given. */
  readonly gap: Gap | null;
}

export type Step =
  | { readonly kind: 'frames'; readonly frames: readonly NumberedFrame[] }
  | FreshScreen
  | { readonly kind: 'end' };

export class Cursor {
  /** Number of the last frame that was given. */
  seq = 0;
  readonly #log: FrameLog;
  readonly #screen: LiveScreen;
  readonly #subscription: { close(): void };
  readonly #hold: { close(): void };
  readonly #text = new ViewerText();
  #wake: (() => void) | null = null;
  #closed = false;

  constructor(log: FrameLog, screen: LiveScreen) {
    this.#log = log;
    this.#screen = screen;
    this.#hold = screen.acquire();
    this.#subscription = log.listen(() => this.#wake?.());
  }

  /** Where to begin: the screen, or with `since` (the last frame already seen) null when every missed frame is still there. */
  async begin(since?: number): Promise<FreshScreen | null> {
    if (since === undefined || since > this.#log.lastSeq) return await this.#fresh(null);
    const missed = this.#log.read(since, 1);
    if ('from' in missed) return await this.#fresh(missed);
    this.seq = since;
    return null;
  }

  /** What comes next; waits until there is something. One call at a time. */
  async next(): Promise<Step> {
    for (;;) {
      if (this.#closed) return { kind: 'end' };
      const read = this.#log.read(this.seq, READ_BYTES);
      if ('from' in read) return await this.#fresh(read);
      const last = read.at(-1);
      if (last !== undefined) {
        this.seq = last.seq;
        return { kind: 'frames', frames: read.map((frame) => this.#shown(frame)) };
      }
      if (this.#log.closed) return { kind: 'end' };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#subscription.close();
    this.#hold.close();
    this.#wake?.();
  }

  async #fresh(gap: Gap | null): Promise<FreshScreen> {
    const state = await this.#screen.state();
    this.seq = state.seq;
    this.#text.reset();
    return { kind: 'screen', state, gap: gap === null ? null : { from: gap.from, to: Math.max(gap.from, state.seq) } };
  }

  /** The frame itself where nothing is taken out of it, so that viewers can share what is made of it. */
  #shown(frame: NumberedFrame): NumberedFrame {
    if (frame.code !== 'o') return frame;
    const data = this.#text.push(frame.data);
    return data === frame.data ? frame : { ...frame, data };
  }
}
