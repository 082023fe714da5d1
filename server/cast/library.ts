// The recordings in the data directory: lists them, tells about one, and shows any moment of it.
// It never changes a recording, removes only what the operator's rule does not keep, and holds what it learned within a bound.

import type { CastHeader } from '../../protocol/asciicast.ts';
import type { CastInfo, Marker } from '../../protocol/cast.ts';
import type { Verdict } from '../../protocol/cast-verifier.ts';
import { Fault } from '../../protocol/fault.ts';
import { type Frame, type NumberedFrame, toFrame } from '../../protocol/frame.ts';
import { removeDrafts } from '../atomic-file.ts';
import { type CastFilter, Catalog } from './catalog.ts';
import { type CastExport, type ExportFormat, exportCast } from './export.ts';
import { IndexCache, type ShelfOptions } from './index-cache.ts';
import { markersOf } from './marker.ts';
import { noSuchCast } from './recording.ts';
import { type KeepRule, Retention } from './retention.ts';
import { type RunText, runOutput } from './run-output.ts';
import type { SeekIndex } from './seek-index.ts';
import { type Frozen, freeze, type Segment, type SegmentIndex, segment, segmentIndex } from './segment.ts';
import { Stock } from './stock.ts';
import { Verifications } from './verify.ts';

/** Most that cast.read gives in one reply. */
const MAX_READ_BYTES = 8 * 1024 * 1024;
/** What a frame weighs in a reply beside its data. */
const FRAME_BYTES = 32;

/** A marker that is a command's. */
export interface CommandMarker extends Marker {
  process: string;
  command: string;
  outcome: NonNullable<Marker['outcome']>;
}

export interface LibraryOptions extends ShelfOptions {
  /** Without it all recordings are kept. */
  readonly keep?: KeepRule;
  /** Told which recordings were removed, and which could not be. */
  readonly log?: { info(detail: object, message: string): void; error(detail: object, message: string): void };
}

export class Library {
  readonly #options: LibraryOptions;
  readonly #indexes: IndexCache;
  readonly #catalog: Catalog;
  readonly #stock: Stock;
  readonly #retention: Retention;
  readonly #verifications = new Verifications();

  constructor(options: LibraryOptions) {
    this.#options = options;
    this.#indexes = new IndexCache({ ...options, unkept: (cast) => this.#catalog.sealed(cast) });
    this.#catalog = new Catalog({ ...options, indexes: this.#indexes });
    this.#stock = new Stock({
      ...options,
      summary: (cast) => this.#catalog.summary(cast),
      forget: (cast) => this.#catalog.forget(cast),
    });
    const { keep, log } = options;
    this.#retention = new Retention({
      rule: keep ?? { maxAgeMs: null, maxBytes: null },
      stored: () => this.#stock.list(),
      remove: (cast) => this.#stock.remove(cast),
      removed: (one) => log?.info(one, 'recording removed: --keep-casts'),
      failed: (err) => log?.error({ err }, 'a recording could not be removed'),
    });
  }

  /** Newest first; what is no readable cast is left out. */
  list(filter: CastFilter): Promise<CastInfo[]> {
    return this.#catalog.list(filter);
  }

  /** Gets ready, in the background, what lists and searches need of the casts that are there; removes those that are not to be kept. */
  catchUp(): void {
    void removeDrafts(this.#options.dir);
    this.#catalog.catchUp();
    this.#retention.start();
  }

  /** The same for a cast that has just been sealed. */
  sealed(cast: string): void {
    this.#catalog.sealed(cast);
    this.#retention.sealed();
  }

  /** Resolves when nothing is written any more. */
  async close(): Promise<void> {
    await this.#retention.close();
    await this.#catalog.close();
  }

  /** Whose it is, from its header alone: also of a damaged one. Faults: CAST_NOT_FOUND. */
  async slotOf(cast: string): Promise<string> {
    const summary = await this.#catalog.summary(cast);
    if (summary === null) throw noSuchCast(cast);
    return summary.header.slotcast?.slot ?? '';
  }

  /** Faults: CAST_NOT_FOUND, CAST_DAMAGED. */
  async info(
    cast: string,
  ): Promise<CastInfo & { markers: Marker[]; idle: [from: number, to: number][]; hash: string | null }> {
    const { index } = await this.#indexes.open(cast);
    index.assertSound();
    const summary = await this.#catalog.summary(cast);
    if (summary === null) throw noSuchCast(cast);
    const info = await this.#catalog.info(cast, summary, await this.#stock.isPinned(cast));
    const idle = index.idle.ranges(this.#indexes.durationMs(cast, index));
    return { ...info, markers: this.#markers(index), idle, hash: summary.seal?.hash ?? null };
  }

  /** Keeps it whatever the rule says, or no more. Faults: CAST_NOT_FOUND. */
  pin(cast: string, pinned: boolean): Promise<void> {
    return this.#stock.pin(cast, pinned);
  }

  /** Whether it is as it was recorded, also for one that is damaged. Faults: CAST_NOT_FOUND, RATE_LIMITED. */
  async verify(cast: string, signal?: AbortSignal): Promise<Verdict> {
    const path = this.#indexes.path(cast);
    const live = this.#options.live(cast);
    await live?.flush?.();
    const verdict = await this.#verifications.verify(path, cast, signal);
    const isOpen = live !== null && !verdict.sealed && verdict.line === undefined;
    return isOpen ? { ...verdict, reason: 'it is still being recorded' } : verdict;
  }

  /** The command of that name. Faults: CAST_NOT_FOUND, CAST_DAMAGED without a readable header, PROCESS_NOT_FOUND. */
  async command(cast: string, process: string): Promise<CommandMarker> {
    const { index } = await this.#indexes.open(cast);
    const found = this.#markers(index).find((marker) => marker.process === process && marker.command !== undefined);
    if (found === undefined || !isCommand(found)) {
      throw new Fault('PROCESS_NOT_FOUND', `${cast} has no command ${process}. cast.info names them.`);
    }
    return found;
  }

  /** What a terminal.run printed, without escape sequences. Faults: as command, CAST_DAMAGED. */
  async output(cast: string, { seq, time, process }: CommandMarker, maxBytes: number): Promise<RunText> {
    const { index } = await this.#indexes.open(cast);
    return await runOutput(index, { seq, timeMs: Math.round(time * 1000), process }, maxBytes);
  }

  /** The screen at a moment, in seconds; past the end the last one. Faults: CAST_NOT_FOUND, CAST_DAMAGED. */
  async seek(
    cast: string,
    time: number,
    withText = false,
  ): Promise<{ time: number; seq: number; cols: number; rows: number; screen: string; text?: string }> {
    const { index, screens } = await this.#indexes.open(cast);
    const askedMs = Math.round(time * 1000);
    index.assertSound(askedMs);
    const timeMs = Math.min(askedMs, this.#indexes.durationMs(cast, index));
    const { seq, cols, rows, ansi, text } = await screens.atTime(timeMs, withText);
    return { time: timeMs / 1000, seq, cols, rows, screen: ansi, ...(text === null ? {} : { text }) };
  }

  /** The frames with from ≤ time < to, in seconds. Faults: CAST_NOT_FOUND, CAST_DAMAGED. */
  async read(cast: string, from: number, to: number): Promise<{ frames: Frame[]; truncated: boolean; next?: number }> {
    const { index } = await this.#indexes.open(cast);
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

  /** Header and frames after a number, up to about so many bytes but at least one frame. Faults: CAST_NOT_FOUND, CAST_DAMAGED. */
  async lines(
    cast: string,
    after: number,
    maxBytes: number,
  ): Promise<{ readonly header: CastHeader; readonly frames: readonly NumberedFrame[] }> {
    const { index } = await this.#indexes.open(cast);
    if (index.header === null) throw noSuchCast(cast);
    const keyframe = Math.max(
      0,
      index.keyframes.findLastIndex(({ seq }) => seq <= after),
    );
    const frames: NumberedFrame[] = [];
    let bytes = 0;
    for await (const batch of index.frames(keyframe)) {
      for (const frame of batch) {
        if (frame.seq <= after) continue;
        frames.push(frame);
        bytes += frame.data.length + FRAME_BYTES;
        if (bytes >= maxBytes) return { header: index.header, frames };
      }
    }
    return { header: index.header, frames };
  }

  /**
   * The index of the player's segmented format. A live cast is frozen at `untilMs`, by default now; each segment is then asked for with the
   * same `untilMs`, which stands in its URL. Faults: CAST_NOT_FOUND, CAST_DAMAGED.
   */
  async segmentIndex(cast: string, untilMs?: number): Promise<SegmentIndex> {
    const { index } = await this.#indexes.open(cast);
    const frozen = this.#frozen(cast, index, untilMs);
    return segmentIndex(frozen, (number) => `segment-${number}.json?until=${frozen.durationMs}`);
  }

  /** One segment. Faults: CAST_NOT_FOUND, CAST_DAMAGED. */
  async segment(cast: string, number: number, untilMs?: number): Promise<Segment> {
    const { index, screens } = await this.#indexes.open(cast);
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
    const path = this.#indexes.path(cast);
    await this.#options.live(cast)?.flush?.();
    return await exportCast(path, cast, format);
  }

  #markers(index: SeekIndex): Marker[] {
    return markersOf(index.marks, this.#options.live(index.cast) !== null);
  }

  #frozen(cast: string, index: SeekIndex, untilMs = Number.POSITIVE_INFINITY): Frozen {
    const endMs = Math.min(untilMs, this.#indexes.durationMs(cast, index));
    index.assertSound(endMs);
    return freeze(index.keyframes, index.marks, endMs);
  }
}

const isCommand = (marker: Marker): marker is CommandMarker =>
  marker.process !== undefined && marker.command !== undefined && marker.outcome !== undefined;

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
