// A viewer's place in the frame log: gives the screen once, then every frame after it, and a fresh screen when it was too slow.
// What would reach beyond a viewer's screen is left out here, for every kind of viewer. It never slows the log: what it has not read in time is gone for it, and it is told so.
import type { NumberedFrame } from '../../protocol/frame.ts';
import { ViewerText } from '../../protocol/viewer-text.ts';
import type { FrameLog, Gap } from '../keeper/frame-log.ts';
import type { LiveScreen, ScreenState } from './live-screen.ts';

export interface FreshScreen {
  readonly state: ScreenState;
  /** The frames that the screen stands for and that were not given. */
  readonly gap: Gap | null;
}

/** lost: frames that are gone; a fresh screen stands for them. */
export type Step =
  | { readonly kind: 'frames'; readonly frames: readonly NumberedFrame[] }
  | { readonly kind: 'lost'; readonly gap: Gap }
  | { readonly kind: 'end' };

const END: Step = { kind: 'end' };

export class Cursor {
  /** Number of the last frame that was given. */
  seq = 0;
  readonly #log: FrameLog;
  readonly #screen: LiveScreen;
  readonly #place: { close(): void };
  readonly #hold: { close(): void };
  readonly #text = new ViewerText();
  #more: (() => void) | null = null;
  #closed = false;

  constructor(log: FrameLog, screen: LiveScreen) {
    this.#log = log;
    this.#screen = screen;
    this.#hold = screen.acquire();
    this.#place = screen.audience.join(() => this.#more?.());
  }

  /** Where to begin: the screen, or with `since` (the last frame already seen) null when every missed frame is still there. */
  async begin(since?: number): Promise<FreshScreen | null> {
    if (since === undefined || since > this.#log.lastSeq) return await this.fresh(null);
    const missed = this.#log.read(since, 1);
    if ('from' in missed) return await this.fresh(missed);
    this.seq = since;
    return null;
  }

  /** What comes next; null when there is nothing yet. */
  take(): Step | null {
    if (this.#closed) return END;
    const read = this.#screen.audience.read(this.seq);
    if ('from' in read) return { kind: 'lost', gap: read };
    const last = read.frames.at(-1);
    if (last === undefined) return this.#log.closed ? END : null;
    this.seq = last.seq;
    // The same frames for all where nothing is taken out of them, so that viewers can share what is made of them.
    const isShown = read.isPlain && this.#text.isAtRest;
    return { kind: 'frames', frames: isShown ? read.frames : read.frames.map((frame) => this.#shown(frame)) };
  }

  /** Calls whenever there may be more to take, and when the cursor is closed. */
  onMore(listener: () => void): void {
    this.#more = listener;
  }

  /** The screen as of the newest frame, to go on from. */
  async fresh(gap: Gap | null): Promise<FreshScreen> {
    const state = await this.#screen.state();
    this.seq = state.seq;
    this.#text.reset();
    return { state, gap: gap === null ? null : { from: gap.from, to: Math.max(gap.from, state.seq) } };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#place.close();
    this.#hold.close();
    this.#more?.();
  }

  #shown(frame: NumberedFrame): NumberedFrame {
    if (frame.code !== 'o') return frame;
    const data = this.#text.push(frame.data);
    return data === frame.data ? frame : { ...frame, data };
  }
}
