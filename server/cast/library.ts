// The recordings in the data directory: lists them, tells about one, and shows any moment of it.
// It only reads, holds what it learned within a bound, and a name never leads out of the directory.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type CastInfo, castId, type Marker } from '../../protocol/cast.ts';
import { isCommandStart } from '../../protocol/command-mark.ts';
import { Fault } from '../../protocol/fault.ts';
import { type Frame, type NumberedFrame, toFrame } from '../../protocol/frame.ts';
import { type CastExport, type ExportFormat, exportCast } from './export.ts';
import { markersOf } from './marker.ts';
import { noSuchCast } from './recording.ts';
import { ScreenCache } from './screen-cache.ts';
import { SeekIndex } from './seek-index.ts';
import { type Frozen, freeze, type Segment, type SegmentIndex, segment, segmentIndex } from './segment.ts';
import { readSummary, type Summary } from './summary.ts';

/** Most that cast.read gives in one reply. */
const MAX_READ_BYTES = 8 * 1024 * 1024;
/** What a frame weighs in a reply beside its data. */
const FRAME_BYTES = 32;
/** Screens kept in memory: those of some two gigabytes of casts. */
const MAX_CACHE_CHARS = 64 * 1024 * 1024;
/** What the index of a cast weighs for each keyframe or marker, about. */
const ENTRY_CHARS = 100;
/** Files opened at the same time by a list. */
const MAX_OPEN = 32;

/** What a cast that is being recorded knows better than its file. */
export interface LiveCast {
  /** Since it began. */
  readonly durationMs: number;
  /** Commands so far; without it they are counted in the file. */
  readonly commands?: number;
  /** Resolves when the file has every frame so far. */
  flush?(): Promise<void>;
}

export interface LibraryOptions {
  /** Where the casts lie, as NAME.cast. */
  readonly dir: string;
  /** null when nobody records it now. */
  readonly live: (cast: string) => LiveCast | null;
}

export interface CastFilter {
  /** Only this one. */
  readonly cast?: string | undefined;
  readonly slot?: string | undefined;
  readonly label?: string | undefined;
  readonly limit: number;
  readonly before?: string | undefined;
}

interface Known {
  readonly index: SeekIndex;
  readonly screens: ScreenCache;
}

export class Library {
  readonly #options: LibraryOptions;
  /** Sealed casts only: the others change. */
  readonly #sealed = new Map<string, Summary>();
  /** In the order of use, the one used last at the end. */
  readonly #known = new Map<string, Known>();

  constructor(options: LibraryOptions) {
    this.#options = options;
  }

  /** Newest first; what is no readable cast is left out. */
  async list(filter: CastFilter): Promise<CastInfo[]> {
    const names = await this.#names();
    for (const cast of this.#sealed.keys()) if (!names.has(cast)) this.#sealed.delete(cast);
    const found: { cast: string; summary: Summary; startedAt: number }[] = [];
    const looked = [...names].filter((cast) => filter.cast === undefined || filter.cast === cast);
    await inParallel(looked, MAX_OPEN, async (cast) => {
      const summary = await this.#summary(cast);
      if (summary !== null) found.push({ cast, summary, startedAt: startOf(summary) });
    });
    found.sort((a, b) => b.startedAt - a.startedAt || (a.cast < b.cast ? 1 : -1));
    const after = filter.before === undefined ? 0 : found.findIndex(({ cast }) => cast === filter.before) + 1;
    const wanted = found.slice(after).filter(({ summary }) => matches(summary, filter));
    const infos: CastInfo[] = [];
    for (const { cast, summary } of wanted.slice(0, filter.limit)) infos.push(await this.#info(cast, summary));
    return infos;
  }

  /** Whose it is, from its header alone: also of a damaged one. Faults: CAST_NOT_FOUND. */
  async slotOf(cast: string): Promise<string> {
    const summary = await this.#summary(cast);
    if (summary === null) throw noSuchCast(cast);
    return summary.header.slotcast?.slot ?? '';
  }

  /** Faults: CAST_NOT_FOUND, CAST_DAMAGED. */
  async info(cast: string): Promise<CastInfo & { markers: Marker[] }> {
    const { index } = await this.#open(cast);
    index.assertSound();
    const summary = await this.#summary(cast);
    if (summary === null) throw noSuchCast(cast);
    const live = this.#options.live(cast) !== null;
    return { ...(await this.#info(cast, summary)), markers: markersOf(index.marks, live) };
  }

  /** The screen at a moment, in seconds; past the end the last one. Faults: CAST_NOT_FOUND, CAST_DAMAGED. */
  async seek(
    cast: string,
    time: number,
  ): Promise<{ time: number; seq: number; cols: number; rows: number; screen: string }> {
    const { index, screens } = await this.#open(cast);
    const askedMs = Math.round(time * 1000);
    index.assertSound(askedMs);
    const timeMs = Math.min(askedMs, this.#durationMs(cast, index));
    const { seq, cols, rows, ansi } = await screens.atTime(timeMs);
    return { time: timeMs / 1000, seq, cols, rows, screen: ansi };
  }

  /** The frames with from ≤ time < to, in seconds. Faults: CAST_NOT_FOUND, CAST_DAMAGED. */
  async read(cast: string, from: number, to: number): Promise<{ frames: Frame[]; truncated: boolean; next?: number }> {
    const { index } = await this.#open(cast);
    const fromMs = wholeMs(from);
    const toMs = wholeMs(to);
    const taken: NumberedFrame[] = [];
    let bytes = 0;
    for await (const batch of index.frames(index.keyframeBefore(fromMs - 1))) {
      for (const frame of batch) {
        if (frame.timeMs < fromMs) continue;
        if (frame.timeMs >= toMs) return { frames: taken.map(toFrame), truncated: false };
        bytes += frame.data.length + FRAME_BYTES;
        if (bytes > MAX_READ_BYTES && frame.timeMs > (taken[0]?.timeMs ?? 0)) return cutBefore(taken, frame);
        taken.push(frame);
      }
    }
    index.assertSound(toMs - 1);
    return { frames: taken.map(toFrame), truncated: false };
  }

  /**
   * The index of the player's segmented format. A live cast is frozen at `untilMs`, by default now; each segment is then asked for with the
   * same `untilMs`, which stands in its URL. Faults: CAST_NOT_FOUND, CAST_DAMAGED.
   */
  async segmentIndex(cast: string, untilMs?: number): Promise<SegmentIndex> {
    const { index } = await this.#open(cast);
    const frozen = this.#frozen(cast, index, untilMs);
    return segmentIndex(frozen, (number) => `segment-${number}.json?until=${frozen.durationMs}`);
  }

  /** One segment. Faults: CAST_NOT_FOUND, CAST_DAMAGED. */
  async segment(cast: string, number: number, untilMs?: number): Promise<Segment> {
    const { index, screens } = await this.#open(cast);
    const frozen = this.#frozen(cast, index, untilMs);
    const keyframe = frozen.keyframes[number];
    if (keyframe === undefined)
      throw new Fault('CAST_NOT_FOUND', `${cast} has no segment ${number} up to that moment.`);
    const screen = await screens.atKeyframe(number);
    const frames: NumberedFrame[] = [];
    for await (const batch of index.frames(number, frozen.keyframes[number + 1]?.offset)) {
      frames.push(...batch.filter((frame) => frame.timeMs <= frozen.durationMs));
      if ((batch.at(-1)?.timeMs ?? 0) > frozen.durationMs) break;
    }
    return segment(frozen, number, { screen, frames });
  }

  /** For a download. Faults: CAST_NOT_FOUND. */
  async export(cast: string, format: ExportFormat): Promise<CastExport> {
    const path = this.#path(cast);
    await this.#options.live(cast)?.flush?.();
    return await exportCast(path, cast, format);
  }

  async #names(): Promise<Set<string>> {
    const entries = await readdir(this.#options.dir).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    const names = entries.filter((entry) => entry.endsWith('.cast')).map((entry) => entry.slice(0, -'.cast'.length));
    return new Set(names.filter((name) => castId.safeParse(name).success));
  }

  /** null when it can't be read, or has just gone. */
  async #summary(cast: string): Promise<Summary | null> {
    const known = this.#sealed.get(cast);
    if (known !== undefined) return known;
    const summary = await readSummary(this.#path(cast)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    if (summary !== null && summary.seal !== null) this.#sealed.set(cast, summary);
    return summary;
  }

  async #info(cast: string, summary: Summary): Promise<CastInfo> {
    const { header, seal, bytes } = summary;
    const { cols, rows, slotcast } = header;
    const live = this.#options.live(cast);
    const { durationMs, commands } =
      seal === null ? await this.#unsealed(cast) : { durationMs: seal.duration * 1000, commands: seal.commands };
    return {
      cast,
      slot: slotcast?.slot ?? '',
      label: slotcast?.label ?? null,
      startedAt: startOf(summary),
      duration: durationMs / 1000,
      bytes,
      cols,
      rows,
      live: live !== null,
      commands,
    };
  }

  async #unsealed(cast: string): Promise<{ durationMs: number; commands: number }> {
    const live = this.#options.live(cast);
    if (live?.commands !== undefined) return { durationMs: live.durationMs, commands: live.commands };
    const { index } = await this.#open(cast);
    const commands = index.marks.filter((mark) => isCommandStart(mark.label)).length;
    return { durationMs: this.#durationMs(cast, index), commands };
  }

  #durationMs(cast: string, index: SeekIndex): number {
    const live = this.#options.live(cast);
    return Math.max(index.end.timeMs, live?.durationMs ?? (index.seal?.duration ?? 0) * 1000);
  }

  #frozen(cast: string, index: SeekIndex, untilMs = Number.POSITIVE_INFINITY): Frozen {
    const endMs = Math.min(untilMs, this.#durationMs(cast, index));
    index.assertSound(endMs);
    return freeze(index.keyframes, index.marks, endMs);
  }

  /** The index of a cast, up to date with its file. */
  async #open(cast: string): Promise<Known> {
    const path = this.#path(cast);
    await this.#options.live(cast)?.flush?.();
    const known = this.#known.get(cast) ?? newKnown(cast, path);
    await known.index.update();
    this.#known.delete(cast);
    this.#known.set(cast, known);
    this.#trim(cast);
    return known;
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

  #path(cast: string): string {
    if (!castId.safeParse(cast).success) throw noSuchCast(cast);
    return join(this.#options.dir, `${cast}.cast`);
  }
}

function newKnown(cast: string, path: string): Known {
  const index = new SeekIndex(cast, path);
  return { index, screens: new ScreenCache(index) };
}

const weight = ({ index, screens }: Known): number =>
  screens.chars + (index.keyframes.length + index.marks.length) * ENTRY_CHARS;

const startOf = ({ header }: Summary): number => header.slotcast?.startedAt ?? (header.timestamp ?? 0) * 1000;

function matches({ header }: Summary, { slot, label }: CastFilter): boolean {
  if (slot !== undefined && header.slotcast?.slot !== slot) return false;
  return label === undefined || header.slotcast?.label === label;
}

/** The first millisecond that is not before this moment; 16.1 * 1000 is a little more than 16100. */
const wholeMs = (seconds: number): number => Math.ceil(seconds * 1000 - 1e-6);

/** All frames of one moment stay together, so that `next` leads to the first one left out. */
function cutBefore(
  taken: readonly NumberedFrame[],
  next: NumberedFrame,
): { frames: Frame[]; truncated: true; next: number } {
  const frames = taken.filter((frame) => frame.timeMs < next.timeMs);
  return { frames: frames.map(toFrame), truncated: true, next: next.timeMs / 1000 };
}

async function inParallel<T>(things: readonly T[], limit: number, work: (thing: T) => Promise<void>): Promise<void> {
  const waiting = [...things];
  const worker = async (): Promise<void> => {
    for (let thing = waiting.pop(); thing !== undefined; thing = waiting.pop()) await work(thing);
  };
  await Promise.all(Array.from({ length: Math.min(limit, things.length) }, worker));
}
