// The indexes and screens of the casts that are looked at, within a bound: the one used last is forgotten last.
// A name never leads out of the directory.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { castId } from '../../protocol/cast.ts';
import { KEPT_FROM_BYTES, readKept, SCREENS } from './kept.ts';
import { noSuchCast } from './recording.ts';
import { ScreenCache } from './screen-cache.ts';
import { SeekIndex } from './seek-index.ts';
import { readSummary } from './summary.ts';

/** Screens kept in memory: those of some two gigabytes of casts. */
const MAX_CACHE_CHARS = 64 * 1024 * 1024;
/** What the index of a cast weighs for each keyframe, marker or pause, about. */
const ENTRY_CHARS = 100;

/** What a cast that is being recorded knows better than its file. */
export interface LiveCast {
  /** Since it began. */
  readonly durationMs: number;
  /** Resolves when the file has every frame so far. */
  flush?(): Promise<void>;
}

export interface ShelfOptions {
  /** Where the casts lie, as NAME.cast. */
  readonly dir: string;
  /** null when nobody records it now. */
  readonly live: (cast: string) => LiveCast | null;
}

export interface Known {
  readonly index: SeekIndex;
  readonly screens: ScreenCache;
  /** Resolves when what is kept beside the cast was taken over, if there is something. */
  readonly loaded: Promise<void>;
  /** What is known of it stands beside the cast, or somebody was told that it doesn't. */
  isKept: boolean;
}

export interface IndexCacheOptions extends ShelfOptions {
  /** Told of a large sealed cast that was read since nothing is kept beside it. */
  readonly unkept: (cast: string) => void;
}

export class IndexCache {
  readonly #options: IndexCacheOptions;
  /** In the order of use, the one used last at the end. */
  readonly #known = new Map<string, Known>();

  constructor(options: IndexCacheOptions) {
    this.#options = options;
  }

  /** The file of a cast. Throws CAST_NOT_FOUND for what is no name of one. */
  path(cast: string): string {
    if (!castId.safeParse(cast).success) throw noSuchCast(cast);
    return join(this.#options.dir, `${cast}.cast`);
  }

  /** The index of a cast, up to date with its file. Faults: CAST_NOT_FOUND, CAST_DAMAGED without a readable header. */
  async open(cast: string): Promise<Known> {
    const path = this.path(cast);
    await this.#options.live(cast)?.flush?.();
    // Whoever comes while it is being read for the first time waits for the same.
    const known = this.#known.get(cast) ?? newKnown(cast, path);
    this.#known.delete(cast);
    this.#known.set(cast, known);
    try {
      await known.loaded;
      await known.index.update();
    } catch (error) {
      if (this.#known.get(cast) === known) this.#known.delete(cast);
      throw error;
    }
    this.#trim(cast);
    if (!known.isKept && known.index.places !== null && known.index.end.offset >= KEPT_FROM_BYTES) {
      known.isKept = true;
      this.#options.unkept(cast);
    }
    return known;
  }

  /** An index with the sum of its commands; a cast that nobody looks at is not kept in the place of others. */
  async pass(cast: string): Promise<SeekIndex> {
    const known = this.#known.get(cast);
    await known?.loaded;
    const index = known === undefined || known.index.isTakenOver ? new SeekIndex(cast, this.path(cast)) : known.index;
    await index.update();
    return index;
  }

  /** Draws the screens of a sealed cast and keeps them beside it, so that each moment of it is at hand. */
  async keepScreens(cast: string, isWanted: () => boolean): Promise<void> {
    const known = await this.open(cast);
    if (!known.index.isTakenOver) await known.screens.keep(screensPath(this.path(cast)), isWanted);
  }

  /** Removes them when their cast is gone. */
  async dropScreens(cast: string): Promise<void> {
    await rm(screensPath(this.path(cast)), { force: true }).catch(() => undefined);
  }

  /** The cast is gone. */
  forget(cast: string): void {
    this.#known.delete(cast);
  }

  /** Milliseconds that it has lasted. */
  durationMs(cast: string, index: SeekIndex): number {
    const live = this.#options.live(cast);
    return Math.max(index.end.timeMs, live?.durationMs ?? (index.seal?.duration ?? 0) * 1000);
  }

  /** Forgets what was not used for the longest time, never what is used now. */
  #trim(used: string): void {
    let chars = 0;
    for (const known of this.#known.values()) chars += weight(known);
    for (const [cast, known] of this.#known) {
      if (chars <= MAX_CACHE_CHARS || cast === used) return;
      chars -= weight(known);
      this.#known.delete(cast);
    }
  }
}

const screensPath = (path: string): string => path.replace(/\.cast$/, SCREENS);

function newKnown(cast: string, path: string): Known {
  const index = new SeekIndex(cast, path);
  const screens = new ScreenCache(index);
  const known = { index, screens, isKept: false };
  return Object.assign(known, { loaded: load(path, known) });
}

/** Nothing is taken over of a cast that still changes, or whose file can't be read: that is found out by who reads it. */
async function load(path: string, known: Omit<Known, 'loaded'>): Promise<void> {
  const summary = await readSummary(path).catch(() => null);
  if (summary === null || summary.seal === null || summary.bytes < KEPT_FROM_BYTES) return;
  const kept = await readKept(screensPath(path), summary.bytes);
  if (kept === null) return;
  known.index.takeOver(summary, kept.places);
  known.screens.takeOver(kept.screens);
  known.isKept = true;
}

function weight({ index, screens }: Known): number {
  const entries = index.keyframes.length + index.marks.length + index.idle.size;
  return screens.chars + index.tally.chars + entries * ENTRY_CHARS;
}
