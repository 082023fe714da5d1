// Writes the frames of one log into its recording, and pauses what prints them when it is behind.
// It loses no frame while the disk takes them; when the disk does not, it tries again by itself, and the recording says what is missing.
import { rm, statfs } from 'node:fs/promises';
import {
  CastEncoder,
  type CastGap,
  type CastHeader,
  encodeChainSeal,
  encodeGap,
  encodeHeader,
} from '../../protocol/asciicast.ts';
import { type ChainLink, encodeLink, Section } from '../../protocol/chain.ts';
import type { NumberedFrame } from '../../protocol/frame.ts';
import { CastFile } from './cast-file.ts';
import { chainHash } from './chain-hash.ts';
import type { Clock, Timer } from './clock.ts';
import type { FrameLog } from './frame-log.ts';
import type { Subscription } from './keeper.ts';

/** Longest that a frame waits to be written: what a crash can cost. */
const FLUSH_MS = 50;
/** The same for a marker: what a small command prints, and the marker of its end, are written with it. */
const MARKER_FLUSH_MS = 5;
/** Characters in one write: large enough for the disk, a millisecond or two of encoding. */
const FLUSH_CHARS = 256 * 1024;
/** Characters not written yet at which the pty is paused, and at which it goes on. */
export const PAUSE_CHARS = 1024 * 1024;
export const RESUME_CHARS = 256 * 1024;
/** Between two tries of a disk that takes nothing: a slot in which nothing is printed any more finds out too that there is room again. */
export const RETRY_MS = 1000;
/** Free space from which on a disk that was full is written again: else the last bytes of a page would be taken for room, time and again. */
const ROOM_BYTES = FLUSH_CHARS;
/** Weight of a frame beside its data, so that a flood of tiny ones counts too. */
const FRAME_CHARS = 64;

/** Bytes between two places from which a reader may begin: read in a few milliseconds. */
const PLACE_BYTES = 256 * 1024;

/** Between two lines of a recording. */
export interface CastPlace {
  /** Bytes before it. */
  readonly offset: number;
  /** Of the last frame before it. */
  readonly seq: number;
  readonly timeMs: number;
}

const BEGIN: CastPlace = { offset: 0, seq: 0, timeMs: 0 };

/** What prints into the log and can be told to wait. */
export interface Pausable {
  pause(): void;
  resume(): void;
}

export interface RecorderOptions {
  readonly log: FrameLog;
  readonly path: string;
  readonly header: CastHeader;
  readonly clock: Clock;
  /** Keeps `i` frames, which may be passwords. */
  readonly recordInput: boolean;
  /** Whether a marker begins a command; the seal counts them. */
  readonly isCommand: (label: string) => boolean;
  /** Told once when writing begins to fail. */
  readonly failed: (error: unknown) => void;
  /** Told once when it works again, after the marker that says what is missing. */
  readonly recovered?: (missing: Missing) => void;
}

/** Numbers of the first and the last frame that no file has, and how many they are. */
export interface Missing extends CastGap {
  readonly frames: number;
}

export class Recorder {
  readonly #options: RecorderOptions;
  readonly #file: CastFile;
  /** The last one in the file. */
  #link: ChainLink;
  readonly #listening: Subscription;
  readonly #sources = new Set<Pausable>();
  /** Frames not written yet: they stay here whatever the log evicts. */
  #queue: NumberedFrame[] = [];
  #queuedChars = 0;
  #writingChars = 0;
  /** Number of the last frame in the queue so far, and of the last one written or given up. */
  #takenSeq = 0;
  #settledSeq = 0;
  #timer: Timer | null = null;
  /** When it runs. */
  #flushMs = 0;
  #writing: Promise<void> | null = null;
  #closing: Promise<void> | null = null;
  #paused = false;
  #loss: Missing | null = null;
  #lostFrames = 0;
  #retrying: Timer | null = null;
  /** Time of the last frame in the file. */
  #writtenMs = 0;
  #frames = 0;
  #commands = 0;
  /** Where reading may begin, the first ones first. */
  readonly #places: CastPlace[] = [BEGIN];

  private constructor(options: RecorderOptions, file: CastFile, link: ChainLink) {
    this.#options = options;
    this.#file = file;
    this.#link = link;
    this.#listening = options.log.listen((frame) => {
      if (frame !== null) this.#take(frame);
    });
  }

  /** Begins the recording; the log must have no frame yet. Rejects with the file system's error. */
  static async open(options: RecorderOptions): Promise<Recorder> {
    const file = await CastFile.create(options.path);
    const begun = linked(encodeHeader(options.header), null);
    try {
      await file.append(begun.bytes);
    } catch (error) {
      await file.close().catch(() => {});
      // Nothing of it is worth keeping, and on a full disk each try would leave another one.
      await rm(options.path, { force: true }).catch(() => {});
      throw error;
    }
    return new Recorder(options, file, begun.link);
  }

  /** Characters that the log has and the file does not. */
  get lag(): number {
    return this.#queuedChars + this.#writingChars;
  }

  /** Where reading may begin for somebody who has every frame up to this one. */
  placeBefore(seq: number): CastPlace {
    return this.#places.findLast((place) => place.seq <= seq) ?? BEGIN;
  }

  /** Whether the disk did not take what was to be written last. */
  get failing(): boolean {
    return this.#loss !== null;
  }

  /** Frames that the disk did not take, since the recording began. */
  get lostFrames(): number {
    return this.#lostFrames;
  }

  /** Resolves when the file has every frame so far, or has been found not to take it. */
  async flush(): Promise<void> {
    const last = this.#takenSeq;
    while (this.#settledSeq < last) {
      this.#flush();
      await this.#writing;
    }
  }

  /** Pauses the source whenever too much is not written yet. */
  pace(source: Pausable): Subscription {
    this.#sources.add(source);
    if (this.#paused) source.pause();
    return { close: () => void this.#sources.delete(source) };
  }

  /** Writes what is there and the seal. Resolves when the disk has it, or when it will not take it. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #take(frame: NumberedFrame): void {
    if (frame.code === 'i' && !this.#options.recordInput) return;
    this.#queue.push(frame);
    this.#takenSeq = frame.seq;
    this.#queuedChars += weight(frame);
    this.#adjustPace();
    if (this.#queuedChars >= FLUSH_CHARS) this.#flush();
    else this.#flushIn(frame.code === 'x' ? 0 : frame.code === 'm' ? MARKER_FLUSH_MS : FLUSH_MS);
  }

  /** Keeps the earlier one of two times. */
  #flushIn(delayMs: number): void {
    const flushMs = this.#options.clock.now() + delayMs;
    if (this.#timer !== null && flushMs >= this.#flushMs) return;
    this.#timer?.cancel();
    this.#flushMs = flushMs;
    this.#timer = this.#options.clock.after(delayMs, () => this.#flush());
  }

  #flush(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#begin(() => this.#writeWhile(() => this.#queuedChars >= FLUSH_CHARS));
  }

  /** Unless something is written already. */
  #begin(write: () => Promise<void>): void {
    this.#writing ??= write().finally(() => {
      this.#writing = null;
      if (this.#queue.length > 0) this.#flushIn(FLUSH_MS);
    });
  }

  /** Writes one batch, and more while asked to. Never rejects. */
  async #writeWhile(more: () => boolean): Promise<void> {
    do {
      const batch = this.#nextBatch();
      if (batch.length === 0) return;
      await this.#write(batch);
      this.#settledSeq = batch.at(-1)?.seq ?? this.#settledSeq;
      this.#writingChars = 0;
      this.#adjustPace();
    } while (more());
  }

  #nextBatch(): readonly NumberedFrame[] {
    let count = 0;
    let chars = 0;
    for (const frame of this.#queue) {
      if (chars >= FLUSH_CHARS) break;
      chars += weight(frame);
      count++;
    }
    this.#queuedChars -= chars;
    this.#writingChars = chars;
    return this.#queue.splice(0, count);
  }

  async #write(batch: readonly NumberedFrame[]): Promise<void> {
    if (this.#loss !== null && !(await hasRoom(this.#options.path))) return this.#lose(batch);
    const encoder = new CastEncoder(3, this.#writtenMs);
    const gap = this.#loss === null ? '' : encodeGap({ from: this.#loss.from, to: this.#loss.to });
    const { bytes, link } = linked(gap + batch.map((frame) => encoder.encode(frame)).join(''), this.#link);
    try {
      await this.#file.append(bytes);
    } catch (error) {
      const isFirst = this.#loss === null;
      this.#lose(batch);
      if (isFirst) this.#options.failed(error);
      return;
    }
    this.#link = link;
    this.#writtenMs = encoder.timeMs;
    this.#frames += batch.length;
    const last = this.#places.at(-1) ?? BEGIN;
    if (this.#file.size - last.offset >= PLACE_BYTES) {
      const seq = batch.at(-1)?.seq ?? last.seq;
      this.#places.push({ offset: this.#file.size, seq, timeMs: this.#writtenMs });
    }
    this.#commands += batch.filter((frame) => frame.code === 'm' && this.#options.isCommand(frame.data)).length;
    this.#tellLoss();
  }

  #lose(batch: readonly NumberedFrame[]): void {
    const first = this.#loss?.from ?? batch[0]?.seq ?? 0;
    const last = batch.at(-1)?.seq ?? this.#loss?.to ?? first;
    this.#loss = { from: first, to: last, frames: (this.#loss?.frames ?? 0) + batch.length };
    this.#lostFrames += batch.length;
    this.#retrying?.cancel();
    // The gap alone: without it nothing would be written before something is printed.
    this.#retrying = this.#options.clock.after(RETRY_MS, () => this.#begin(() => this.#write([])));
  }

  /** The gap is in the file now; a marker says so to people, also to those who watch. */
  #tellLoss(): void {
    if (this.#loss === null) return;
    const missing = this.#loss;
    this.#loss = null;
    this.#retrying?.cancel();
    if (!this.#options.log.closed) this.#options.log.append('m', lossLabel(missing));
    this.#options.recovered?.(missing);
  }

  async #close(): Promise<void> {
    this.#listening.close();
    while (this.#writing !== null) await this.#writing;
    this.#timer?.cancel();
    // It stays set: nothing else may write from here on.
    this.#writing = this.#writeWhile(() => true);
    await this.#writing;
    try {
      await this.#file.append(this.#ending());
    } catch (error) {
      if (this.#loss === null) this.#options.failed(error);
    }
    await this.#file.close().catch(this.#options.failed);
    this.#retrying?.cancel();
    this.#sources.clear();
  }

  #ending(): Buffer {
    const encoder = new CastEncoder(3, this.#writtenMs);
    const parts: Buffer[] = [];
    if (this.#loss !== null) {
      const gap = encodeGap({ from: this.#loss.from, to: this.#loss.to });
      const label = lossLabel(this.#loss);
      const marker = encoder.encode({ timeMs: this.#options.log.lastTimeMs, code: 'm', data: label });
      const { bytes, link } = linked(gap + marker, this.#link);
      parts.push(bytes);
      this.#link = link;
      this.#frames++;
    }
    const seal = { duration: encoder.timeMs / 1000, frames: this.#frames, commands: this.#commands };
    return Buffer.concat([...parts, Buffer.from(encodeChainSeal(seal, this.#link, chainHash))]);
  }

  #adjustPace(): void {
    const paused = this.#paused ? this.lag >= RESUME_CHARS : this.lag > PAUSE_CHARS;
    if (paused === this.#paused) return;
    this.#paused = paused;
    for (const source of this.#sources) paused ? source.pause() : source.resume();
  }
}

/** true also where that can't be told: then writing tells. */
async function hasRoom(path: string): Promise<boolean> {
  try {
    const { blocks, bavail, bfree, bsize } = await statfs(path);
    const free = process.getuid?.() === 0 ? bfree : bavail;
    return blocks === 0 || free * bsize >= ROOM_BYTES;
  } catch {
    return true;
  }
}

/** Lines with the link that vouches for them. */
function linked(lines: string, previous: ChainLink | null): { readonly bytes: Buffer; readonly link: ChainLink } {
  const bytes = Buffer.from(lines);
  const section = new Section(previous, chainHash);
  section.take(bytes);
  const link = section.link();
  return { bytes: Buffer.concat([bytes, Buffer.from(encodeLink(link))]), link };
}

const weight = (frame: NumberedFrame): number => frame.data.length + FRAME_CHARS;

const lossLabel = (loss: Missing): string =>
  `${loss.frames} ${loss.frames === 1 ? 'frame is' : 'frames are'} missing here: the recording could not be written`;
