// watch: a slot's terminal as it lives. Comes back after a lost connection where it was; a reader who is too slow is given a fresh screen.
import type { Notice, Params, Result } from '../protocol/contract.ts';
import { Fault } from '../protocol/fault.ts';
import type { Frame } from '../protocol/frame.ts';
import { Queue } from './queue.ts';
import type { Caller } from './rpc.ts';

/** Frames that wait to be read, in characters: some seconds of a flood, and little for a page with many watches. */
const MAX_WAITING_CHARS = 4 * 1024 * 1024;

interface Screen {
  /** Number of the last frame that it stands for. */
  readonly seq: number;
  /** Seconds since the cast began. */
  readonly time: number;
  readonly cols: number;
  readonly rows: number;
  /** ANSI text that redraws it on a fresh terminal of that size. */
  readonly screen: string;
}

export type WatchEvent =
  /** Everything before is done with: a new recording begins, or the watch does. */
  | ({ readonly kind: 'screen'; readonly cast: string | null } & Screen)
  /** `seq` is the number of the first; the others follow by one. */
  | { readonly kind: 'frames'; readonly seq: number; readonly frames: readonly Frame[] }
  /** Frames were missed; this screen stands for them. */
  | ({ readonly kind: 'resync'; readonly gap: { readonly from: number; readonly to: number } } & Screen)
  /** Nothing follows. */
  | { readonly kind: 'end'; readonly reason: string };

type WatchNotice =
  | ({ readonly name: 'watch.frames' } & Notice<'watch.frames'>)
  | ({ readonly name: 'watch.resync' } & Notice<'watch.resync'>)
  | ({ readonly name: 'watch.end' } & Notice<'watch.end'>);

export interface WatchParts {
  readonly call: Caller;
  /** Calls with every notification of watches, and after each reconnect. Returns how to stop that. */
  listen(listener: { notice(notice: WatchNotice): void; connected(): void; closed(error: Error): void }): () => void;
}

export class Watch implements AsyncIterable<WatchEvent> {
  readonly #parts: WatchParts;
  readonly #queue: Queue<WatchEvent>;
  readonly #stopListening: () => void;
  #watch: string | null = null;
  #slot: string;
  #cast: string | null;
  #seq: number;
  #isClosed = false;
  /** Whether a watch.start is on its way; it is sent again when the connection is lost. */
  #isBeginning = false;
  /** What waited was let go, from this frame on: the reader gets a fresh screen when it comes back. */
  #behindFrom: number | null = null;

  private constructor(params: Params<'watch.start'>, parts: WatchParts) {
    this.#parts = parts;
    this.#slot = params.slot ?? '';
    this.#cast = params.cast ?? null;
    this.#seq = params.since ?? 0;
    this.#queue = new Queue({
      limit: MAX_WAITING_CHARS,
      sizeOf: charsOf,
      overflow: () => this.#fallBehind(),
      thirsty: () => this.#catchUp(),
      left: () => void this.close(),
    });
    this.#stopListening = parts.listen({
      notice: (notice) => this.#receive(notice),
      connected: () => void this.#again(),
      closed: (error) => this.#queue.end({ error }),
    });
  }

  /** Starts it; with `since` and `cast` from the frame after that one. */
  static async start(params: Params<'watch.start'>, parts: WatchParts): Promise<Watch> {
    const watch = new Watch(params, parts);
    try {
      await watch.#begin(params);
    } catch (error) {
      watch.#stopListening();
      throw error;
    }
    return watch;
  }

  get slot(): string {
    return this.#slot;
  }

  /** The recording that `seq` counts in; null when nobody has leased the slot. */
  get cast(): string | null {
    return this.#cast;
  }

  /** Number of the last frame that came: with `cast` enough to go on from here by a later watch. */
  get seq(): number {
    return this.#seq;
  }

  /** What happens, until the lease ends. Can be iterated once; leaving the loop stops the watch. */
  [Symbol.asyncIterator](): AsyncGenerator<WatchEvent, void, undefined> {
    return this.#queue[Symbol.asyncIterator]();
  }

  /** Stops watching; idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#finish();
    await this.#stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #begin(params: Params<'watch.start'>): Promise<void> {
    // At once, since the first frames may come in the same turn.
    const onReply = (started: Result<'watch.start'>): void => this.#started(started, params);
    this.#isBeginning = true;
    try {
      await this.#parts.call('watch.start', params, { onReply });
    } finally {
      this.#isBeginning = false;
    }
  }

  #started(started: Result<'watch.start'>, asked: Params<'watch.start'>): void {
    const { watch, slot, cast, seq, gap, time, cols, rows, screen } = started;
    // The first frame that the reader has not seen; null when it has seen none of this recording.
    const from =
      cast === (asked.cast ?? cast) ? (this.#behindFrom ?? (asked.since === undefined ? null : asked.since + 1)) : null;
    const followsOn = from !== null && this.#behindFrom === null && gap === undefined && screen === '';
    this.#watch = watch;
    this.#slot = slot;
    this.#cast = cast;
    this.#seq = seq;
    this.#behindFrom = null;
    if (followsOn) return;
    const fresh = { seq, time, cols, rows, screen };
    if (from === null) this.#queue.push({ kind: 'screen', cast, ...fresh });
    else this.#queue.push({ kind: 'resync', ...fresh, gap: gap ?? { from, to: seq } });
  }

  #receive(notice: WatchNotice): void {
    if (notice.watch !== this.#watch) return;
    if (notice.name === 'watch.frames') this.#takeFrames(notice);
    else if (notice.name === 'watch.resync') {
      const { seq, time, cols, rows, screen, gap } = notice;
      this.#seq = seq;
      this.#queue.push({ kind: 'resync', seq, time, cols, rows, screen, gap });
    } else {
      this.#queue.push({ kind: 'end', reason: notice.reason });
      this.#finish();
    }
  }

  #takeFrames({ seq, frames }: Notice<'watch.frames'>): void {
    const known = Math.max(0, this.#seq + 1 - seq);
    if (known >= frames.length) return;
    this.#seq = seq + frames.length - 1;
    this.#queue.push({ kind: 'frames', seq: seq + known, frames: frames.slice(known) });
  }

  #finish(): void {
    this.#isClosed = true;
    this.#stopListening();
    this.#queue.end();
  }

  /** A new connection knows nothing of the watch. */
  async #again(): Promise<void> {
    if (this.#isBeginning || this.#behindFrom !== null) return;
    this.#watch = null;
    await this.#restart({ slot: this.#slot, ...(this.#cast === null ? {} : { since: this.#seq, cast: this.#cast }) });
  }

  async #restart(params: Params<'watch.start'>): Promise<void> {
    try {
      await this.#begin(params);
      if (this.#isClosed) await this.#stop();
    } catch (error) {
      // Without a connection, or with one that is about to end, it is started again by the next one.
      if (this.#isClosed || !(error instanceof Fault) || error.fault === 'SHUTTING_DOWN') return;
      this.#queue.end({ error });
      this.#finish();
    }
  }

  #fallBehind(): void {
    const first = this.#queue.shift();
    this.#behindFrom = first?.kind === 'frames' ? first.seq : first?.kind === 'resync' ? first.gap.from : 1;
    this.#queue.clear();
    void this.#stop();
  }

  #catchUp(): void {
    if (this.#behindFrom === null || this.#isBeginning || this.#isClosed) return;
    void this.#restart({ slot: this.#slot, ...(this.#cast === null ? {} : { cast: this.#cast }) });
  }

  async #stop(): Promise<void> {
    const watch = this.#watch;
    this.#watch = null;
    // When the connection is gone, so is the watch.
    if (watch !== null) await this.#parts.call('watch.stop', { watch }).catch(() => {});
  }
}

function charsOf(event: WatchEvent): number {
  if (event.kind === 'end') return 0;
  if (event.kind !== 'frames') return event.screen.length;
  return event.frames.reduce((sum, [, , data]) => sum + data.length, 0);
}
