// The screens of a cast: at its keyframes, drawn once and kept, each from the one before it; and at any moment, drawn from the nearest one.
// It works in slices, so that a long cast doesn't hold up the others.
import type { NumberedFrame } from '../../protocol/frame.ts';
import { Emulator } from '../screen/emulator.ts';
import { worthFeeding } from '../screen/feed.ts';
import { piecesOf } from '../screen/piece.ts';
import { writeKept } from './kept.ts';
import type { SeekIndex } from './seek-index.ts';
import { Slice } from './slice.ts';

/** A gigabyte is drawn in less. What takes longer, since it was printed to be slow, is drawn when somebody asks. */
const MAX_KEEP_MS = 60_000;
/** Screens drawn in one go when nobody waits: who comes meanwhile waits some hundredths of a second. */
const KEPT_AT_ONCE = 16;

export interface ScreenAt {
  /** Of the last frame that the screen shows. */
  readonly seq: number;
  readonly cols: number;
  readonly rows: number;
  readonly ansi: string;
  /** Rows as text, joined by line feeds. */
  readonly text: string | null;
}

export class ScreenCache {
  readonly #index: SeekIndex;
  /** By number of the keyframe; the first needs none. */
  #screens: string[] = [''];
  /** Characters in #screens. */
  chars = 0;
  /** One chain is drawn at a time; a second caller would only draw the same. */
  #turn: Promise<void> = Promise.resolve();

  constructor(index: SeekIndex) {
    this.#index = index;
  }

  /** Instead of drawing them: one for each keyframe of the index. */
  takeOver(screens: readonly string[]): void {
    this.#screens = [...screens];
    this.chars = screens.reduce((sum, screen) => sum + screen.length, 0);
  }

  /** The screen before the frame that follows a keyframe. */
  async atKeyframe(number: number): Promise<string> {
    const known = this.#screens[number];
    if (known !== undefined) return known;
    await this.#upTo(number);
    return this.#screens[number] ?? '';
  }

  /** Draws all of a sealed cast and keeps what is known of it in this file, as far as that can be written; gives up as soon as nobody wants it. */
  async keep(path: string, isWanted: () => boolean): Promise<void> {
    const { places, end } = this.#index;
    if (places === null) return;
    const last = places.keyframes.length - 1;
    const deadlineMs = performance.now() + MAX_KEEP_MS;
    while (this.#screens.length <= last) {
      if (performance.now() > deadlineMs || !isWanted()) return;
      await this.#upTo(Math.min(last, this.#screens.length - 1 + KEPT_AT_ONCE));
    }
    await writeKept(path, end.offset, { places, screens: this.#screens });
  }

  /** The screen with every frame in it up to this moment; `text` when it is asked for. */
  async atTime(timeMs: number, withText = false): Promise<ScreenAt> {
    const number = this.#index.keyframeBefore(timeMs);
    const emulator = await this.#enter(number);
    let seq = this.#index.keyframes[number]?.seq ?? 0;
    try {
      for await (const batch of this.#index.frames(number)) {
        const frames = batch.filter((frame) => frame.timeMs <= timeMs);
        await feed(emulator, frames);
        seq = frames.at(-1)?.seq ?? seq;
        if (frames.length < batch.length) break;
      }
      const text = withText ? withoutBlanks(emulator.text()) : null;
      return { seq, cols: emulator.cols, rows: emulator.rows, ansi: emulator.snapshot(), text };
    } finally {
      emulator.close();
    }
  }

  async #upTo(number: number): Promise<void> {
    const done = this.#turn.then(() => this.#drawUpTo(number));
    this.#turn = done.catch(() => {});
    await done;
  }

  async #drawUpTo(number: number): Promise<void> {
    const { keyframes } = this.#index;
    const first = this.#screens.length - 1;
    if (first >= number) return;
    const emulator = await this.#enter(first);
    const take = (): void => {
      const screen = emulator.snapshot();
      this.#screens.push(screen);
      this.chars += screen.length;
    };
    try {
      for await (const batch of this.#index.frames(first, keyframes[number]?.offset)) {
        for (let from = 0; from < batch.length; ) {
          const nextSeq = keyframes[this.#screens.length]?.seq ?? Number.POSITIVE_INFINITY;
          const past = batch.findIndex(({ seq }, at) => at >= from && seq > nextSeq);
          const to = past === -1 ? batch.length : past;
          await feed(emulator, batch.slice(from, to));
          if (past !== -1) take();
          from = to;
        }
      }
      if (this.#screens.length === number) take();
    } finally {
      emulator.close();
    }
  }

  async #enter(number: number): Promise<Emulator> {
    const screen = await this.atKeyframe(number);
    const { cols = 0, rows = 0 } = this.#index.keyframes[number] ?? {};
    const emulator = new Emulator({ cols, rows });
    emulator.restore(screen);
    return emulator;
  }
}

/** Blanks that a program printed to the end of a row are none that somebody wants to copy. */
const withoutBlanks = (text: string): string =>
  text
    .split('\n')
    .map((row) => row.trimEnd())
    .join('\n')
    .trimEnd();

/** Feeds frames in slices. */
export async function feed(emulator: Emulator, frames: readonly NumberedFrame[]): Promise<void> {
  const slice = new Slice();
  for (const frame of worthFeeding(emulator, frames)) {
    if (frame.code !== 'o') emulator.feed(frame);
    else {
      for (const piece of piecesOf(frame.data, emulator.cols * emulator.rows)) {
        emulator.write(piece);
        if (slice.over) await slice.rest();
      }
    }
    if (slice.over) await slice.rest();
  }
}
