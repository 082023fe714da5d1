// Joins what a pty prints into frames: at once while it is quiet, few and large ones under load. It never cuts a character in two.
import { StringDecoder } from 'node:string_decoder';
import type { Clock, Timer } from './clock.ts';

/**
 * Characters in a frame: a message that is quickly sent, and a parser's step that doesn't stall the event loop. Less than 16 reads of a
 * pty, whose 65,520 bytes asciinema's player hangs on (protocol/player-text.ts): recordings are played from their files too.
 */
export const MAX_FRAME_CHARS = 60 * 1024;
/** Half of a screen's refresh: nobody sees the difference. */
const WINDOW_MS = 8;
/** Bursts of a prompt or an editor's redraw pass through at once; a flood is over these within a millisecond. */
const WINDOW_PIECES = 16;
const WINDOW_CHARS = 16 * 1024;
/** How long output waits for more under load; below WINDOW_MS, so that waiting never becomes the rule for a slow program. */
const WAIT_MS = 6;
/** Of what is held until its end comes, the same: a small command is through in a few ms. */
const HOLD_MS = WAIT_MS;

export interface CoalescerOptions {
  readonly clock: Clock;
  /** Gets each frame, in order, never an empty one. */
  readonly frame: (text: string) => void;
}

interface Hold {
  readonly until: string;
  readonly over: (seen: boolean) => void;
}

export class Coalescer {
  readonly #clock: Clock;
  readonly #frame: (text: string) => void;
  /** Keeps the start of a character until its rest comes; bytes that are no UTF-8 become U+FFFD. */
  readonly #decoder = new StringDecoder('utf8');
  #waiting = '';
  #timer: Timer | null = null;
  #windowStartMs = Number.NEGATIVE_INFINITY;
  #windowPieces = 0;
  #windowChars = 0;
  /** Under load it takes a window below the limits until output passes at once again. */
  #loaded = false;
  #hold: Hold | null = null;

  constructor(options: CoalescerOptions) {
    this.#clock = options.clock;
    this.#frame = options.frame;
  }

  /** Takes a copy: the buffer may be used again at once. */
  push(bytes: Buffer): void {
    this.#add(this.#decoder.write(bytes));
  }

  /** What comes from now on is given out as one when that text has come, or after a moment; `over` is told whether it has. */
  hold(until: string, over: (seen: boolean) => void): void {
    this.flush();
    this.#hold = { until, over };
    this.#timer = this.#clock.after(HOLD_MS, () => this.flush());
  }

  /** Somebody typed: what comes next may be the answer, and he waits for it. */
  typed(): void {
    if (this.#hold !== null) this.flush();
    this.#windowStartMs = Number.NEGATIVE_INFINITY;
  }

  /** Gives out what waits. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = null;
    const hold = this.#hold;
    this.#hold = null;
    const text = this.#waiting;
    this.#waiting = '';
    this.#give(text);
    hold?.over(text.includes(hold.until));
  }

  /** Gives out everything, also a character whose rest never came. */
  end(): void {
    this.#add(this.#decoder.end());
    this.flush();
  }

  #add(text: string): void {
    if (text === '') return;
    if (this.#waiting.length + text.length > MAX_FRAME_CHARS) this.flush();
    this.#waiting += text;
    if (this.#hold !== null) {
      if (this.#waiting.includes(this.#hold.until) || this.#waiting.length >= MAX_FRAME_CHARS) this.flush();
      return;
    }
    if (this.#quiet(text.length) || this.#waiting.length >= MAX_FRAME_CHARS) this.flush();
    else this.#timer ??= this.#clock.after(WAIT_MS, () => this.flush());
  }

  #quiet(chars: number): boolean {
    const now = this.#clock.now();
    const elapsedMs = now - this.#windowStartMs;
    if (elapsedMs >= WINDOW_MS) {
      this.#loaded = elapsedMs < 2 * WINDOW_MS && this.#full();
      this.#windowStartMs = now;
      this.#windowPieces = 0;
      this.#windowChars = 0;
    }
    this.#windowPieces++;
    this.#windowChars += chars;
    return !this.#loaded && !this.#full();
  }

  #full(): boolean {
    return this.#windowPieces > WINDOW_PIECES || this.#windowChars > WINDOW_CHARS;
  }

  #give(text: string): void {
    for (let from = 0; from < text.length; ) {
      const to = cut(text, from + MAX_FRAME_CHARS);
      this.#frame(from === 0 && to === text.length ? text : text.slice(from, to));
      from = to;
    }
  }
}

/** The place itself, or the one before when it would part a surrogate pair. */
function cut(text: string, place: number): number {
  if (place >= text.length) return text.length;
  const last = text.charCodeAt(place - 1);
  return last >= 0xd800 && last <= 0xdbff ? place - 1 : place;
}
