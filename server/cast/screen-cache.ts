// The screens of a cast: at its keyframes, drawn once and kept, each from the one before it; and at any moment, drawn from the nearest one.
// It works in slices, so that a long cast doesn't hold up the others.
import { z } from 'zod';
import type { NumberedFrame } from '../../protocol/frame.ts';
import { Emulator } from '../screen/emulator.ts';
import { worthFeeding } from '../screen/feed.ts';
import { piecesOf } from '../screen/piece.ts';
import type { SeekIndex } from './seek-index.ts';
import { readSidecar, writeSidecar } from './sidecar.ts';
import { Slice } from './slice.ts';

/** Behind the name of a cast. */
export const SCREENS = '.screens';
/** A sealed cast from this size on keeps its screens beside it: drawing all of a smaller one takes some hundredths of a second. */
export const KEPT_FROM_BYTES = 4 * 1024 * 1024;
/** A gigabyte is drawn in less. What takes longer, since it was printed to be slow, is drawn when somebody asks. */
const MAX_KEEP_MS = 60_000;
/** Screens of some gigabytes of cast; what is larger is no file of ours. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;

const file = z.strictObject({
  version: z.literal(1),
  /** Of the cast: a sealed one doesn't change. */
  bytes: z.int(),
  screens: z.array(z.string()),
});

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
  /** Of the file that keeps them. */
  readonly #path: string;
  #isLoaded = false;
  /** By number of the keyframe; the first needs none. */
  #screens: string[] = [''];
  /** Characters in #screens. */
  chars = 0;
  /** One chain is drawn at a time; a second caller would only draw the same. */
  #turn: Promise<void> = Promise.resolve();

  constructor(index: SeekIndex, path: string) {
    this.#index = index;
    this.#path = path;
  }

  /** The screen before the frame that follows a keyframe. */
  async atKeyframe(number: number): Promise<string> {
    const known = this.#screens[number];
    if (known !== undefined) return known;
    await this.#upTo(number);
    return this.#screens[number] ?? '';
  }

  /** Draws all of a sealed cast and keeps them in the file, as far as that can be written; gives up as soon as nobody wants it. */
  async keep(isWanted: () => boolean): Promise<void> {
    const { seal, end, keyframes } = this.#index;
    if (seal === null) return;
    const deadlineMs = performance.now() + MAX_KEEP_MS;
    for (let number = 1; number < keyframes.length; number++) {
      if (performance.now() > deadlineMs || !isWanted()) return;
      await this.#upTo(number);
    }
    if (this.#screens.length < keyframes.length) return;
    await writeSidecar(this.#path, { version: 1, bytes: end.offset, screens: this.#screens }).catch(() => {});
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
    const done = this.#turn.then(async () => {
      await this.#load();
      await this.#drawUpTo(number);
    });
    this.#turn = done.catch(() => {});
    await done;
  }

  /** Takes what the file has, if it fits the cast. */
  async #load(): Promise<void> {
    const { seal, end, keyframes } = this.#index;
    if (this.#isLoaded || seal === null || end.offset < KEPT_FROM_BYTES) return;
    this.#isLoaded = true;
    const found = file.safeParse(await readSidecar(this.#path, MAX_FILE_BYTES));
    if (!found.success || found.data.bytes !== end.offset || found.data.screens.length !== keyframes.length) return;
    this.#screens = found.data.screens;
    this.chars = this.#screens.reduce((sum, screen) => sum + screen.length, 0);
  }

  async #drawUpTo(number: number): Promise<void> {
    const first = this.#screens.length - 1;
    if (first >= number) return;
    const emulator = await this.#enter(first);
    try {
      for (let next = first + 1; next <= number; next++) {
        const end = this.#index.keyframes[next]?.offset;
        if (end === undefined) return;
        for await (const batch of this.#index.frames(next - 1, end)) await feed(emulator, batch);
        const screen = emulator.snapshot();
        this.#screens.push(screen);
        this.chars += screen.length;
      }
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
