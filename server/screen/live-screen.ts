// The screen of a lease that lives: a lazy cursor on the frame log. No emulator runs until somebody asks for the screen, a program asks the
// terminal something, or frames would be lost; it never slows the log, and each query is answered once, here and nowhere else.
import type { NumberedFrame } from '../../protocol/frame.ts';
import type { TerminalCapture } from '../../protocol/terminal.ts';
import { type Clock, systemClock, type Timer } from '../keeper/clock.ts';
import { FRAME_BYTES, type FrameLog, RING_BYTES } from '../keeper/frame-log.ts';
import { Audience } from './audience.ts';
import { Emulator, type ScreenModes } from './emulator.ts';
import { worthFeeding } from './feed.ts';
import { OutputScan } from './output-scan.ts';
import { endOfPiece } from './piece.ts';

/** Lines kept above the screen: what terminal.capture can give as history. */
export const SCROLLBACK_LINES = 1000;
/** An emulator with its history takes up to 3 MB; a snapshot of it 100 KB, for 10 ms of work each way. */
const IDLE_MS = 60_000;
/** The same with little history: 0.3 MB, and less than a millisecond. */
const IDLE_MS_WHEN_SMALL = 5_000;
const SMALL_HISTORY_LINES = 50;
/** Output that has gone quiet is parsed after so long while there is an emulator, so that whoever comes then waits for nothing. */
const QUIET_MS = 1000;
/** Longest stretch of parsing before others get their turn. */
const SLICE_MS = 8;
/** Unparsed output at which the emulator catches up although nobody asks, as a share of the ring: nothing is lost then. */
const MAX_BACKLOG = 1 / 2;
/** The same in bytes while somebody watches, so that the next one to come waits a few milliseconds only. */
const WATCHED_BACKLOG_BYTES = RING_BYTES / 8;
/** A frame that takes longer, a hundred times what the fullest screen needs, is there to keep us busy. */
const MAX_FRAME_MS = 1500;
/** An answer that comes later would be typed into whatever runs by then. */
const REPLY_WINDOW_MS = 5000;

/** The screen as of a frame; what follows in the log has seq + 1. */
export interface ScreenState {
  readonly seq: number;
  readonly timeMs: number;
  readonly cols: number;
  readonly rows: number;
  readonly ansi: string;
}

export interface LiveScreenOptions {
  /** Gets the answers to terminal queries, for the pty; `seq` is the number of the frame that asks. */
  readonly reply: (data: string, seq: number) => void;
  /** The last frame that a gateway before this one has answered. */
  readonly answeredSeq?: number;
  /** How long an emulator that nobody uses is kept. */
  readonly idleMs?: number;
  readonly clock?: Pick<Clock, 'after'>;
}

interface Waiter {
  readonly seq: number;
  readonly resolve: () => void;
}

type Checkpoint = Pick<ScreenState, 'cols' | 'rows' | 'ansi'>;

export class LiveScreen {
  /** Who watches. */
  readonly audience: Audience;
  readonly #log: FrameLog;
  readonly #options: LiveScreenOptions;
  readonly #scan = new OutputScan();
  readonly #subscription: { close(): void };
  /** Last frame that was looked at, and last one that the emulator, or the checkpoint, has taken in. */
  #scanned: number;
  #seq: number;
  #timeMs: number;
  #backlogBytes = 0;
  /** The emulator is to come at least as far as this by itself. */
  #goal = 0;
  /** Frames that ask something and were not parsed yet. Only they are answered: what the scan overlooks must not depend on who looks. */
  readonly #asking = new Set<number>();
  #lastExit = 0;
  #emulator: Emulator | null = null;
  #checkpoint: Checkpoint;
  #state: ScreenState | null = null;
  /** The screen as text, for however many wait for something on it. */
  #plain: TerminalCapture | null = null;
  #current: NumberedFrame | null = null;
  #waiters: Waiter[] = [];
  #holds = 0;
  /** How far into the frame after #seq the emulator is: a frame may take several slices. */
  #begun = { seq: 0, chars: 0, spentMs: 0 };
  #isPumping = false;
  #idle: Timer | null = null;
  #quiet: Timer | null = null;
  #closed = false;

  /** Made right after the log, before its first resize. */
  constructor(log: FrameLog, options: LiveScreenOptions) {
    this.#log = log;
    this.audience = new Audience(log);
    this.#options = options;
    this.#scanned = log.firstSeq - 1;
    this.#seq = this.#scanned;
    this.#timeMs = log.lastTimeMs;
    this.#checkpoint = { cols: log.cols, rows: log.rows, ansi: '' };
    this.#subscription = log.listen((frame) => frame !== null && this.#scanFrame(frame));
    const before = log.read(this.#seq, Number.POSITIVE_INFINITY);
    if (!('from' in before)) for (const frame of before) this.#scanFrame(frame);
  }

  /** What the program in the terminal calls itself; without control characters. */
  get title(): string {
    return this.#scan.title;
  }

  /** Whether a full-screen program has the terminal. Told from the output alone, without an emulator. */
  get alternateScreen(): boolean {
    return this.#scan.alternateScreen;
  }

  /** Whether an emulator runs now. */
  get isEmulating(): boolean {
    return this.#emulator !== null;
  }

  /** The screen as of the newest frame at the time of the call, or a newer one: read the log after its seq. */
  async state(): Promise<ScreenState> {
    // Without an emulator where nothing was printed since the last one: it would take up its history first.
    const isKnown = this.#state?.seq === this.#seq && this.#seq === this.#log.lastSeq;
    if (!isKnown) this.#snap(await this.#caughtUp());
    const timeMs = this.#seq < this.#log.lastSeq || this.#log.closed ? this.#timeMs : this.#log.timeMs();
    return { ...(this.#state ?? this.#snap(this.#awake())), timeMs };
  }

  /** The screen for an agent, with up to `history` lines above it (at most SCROLLBACK_LINES are there). */
  async capture(ask: { history: number; format: 'text' | 'ansi' }): Promise<TerminalCapture> {
    const emulator = await this.#caughtUp();
    const isPlain = ask.format === 'text' && ask.history === 0;
    if (isPlain && this.#plain?.seq === this.#seq) return this.#plain;
    const { cols, rows, cursor, title, modes } = emulator;
    const text = ask.format === 'ansi' ? emulator.ansi(ask.history) : emulator.text(ask.history);
    const capture = { text, cols, rows, cursor, title, alternateScreen: modes.alternateScreen, seq: this.#seq };
    if (isPlain) this.#plain = capture;
    return capture;
  }

  async modes(): Promise<ScreenModes> {
    return (await this.#caughtUp()).modes;
  }

  /** Resolves when what is not parsed yet is little for a ring of that size, so that more may come without a loss. */
  async keepUp(ringBytes = this.#log.ringBytes): Promise<void> {
    if (this.#backlogBytes > ringBytes * MAX_BACKLOG) await this.#caughtUp();
  }

  /** Keeps the emulator close behind the output until it is closed. */
  acquire(): { close(): void } {
    this.#holds++;
    let open = true;
    return {
      close: () => {
        if (!open) return;
        open = false;
        this.#holds--;
        this.#touch();
      },
    };
  }

  /** Nothing is answered or parsed any more; who waits gets the screen as it stands. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#subscription.close();
    this.#idle?.cancel();
    this.#quiet?.cancel();
    this.#resolve(Number.POSITIVE_INFINITY);
    this.#drop();
  }

  /** Looks at each frame once, in passing. */
  #scanFrame(frame: NumberedFrame): void {
    this.#scanned = frame.seq;
    this.#backlogBytes += frame.data.length + FRAME_BYTES;
    if (frame.code === 'o' && this.#scan.take(frame.data) && frame.seq > (this.#options.answeredSeq ?? 0)) {
      this.#asking.add(frame.seq);
      this.#goal = frame.seq;
    }
    if (frame.code === 'x') this.#lastExit = frame.seq;
    const limit = this.#holds > 0 ? WATCHED_BACKLOG_BYTES : this.#log.ringBytes * MAX_BACKLOG;
    if (this.#backlogBytes > limit) this.#goal = frame.seq;
    if (this.#goal > this.#seq) this.#pump();
    else if (this.#emulator !== null) this.#quiet ??= this.#after(QUIET_MS, () => this.#settle());
  }

  /** Catches up although nobody asks, without using the emulator: it is let go as if this had not been. */
  #settle(): void {
    this.#quiet = null;
    if (this.#closed || this.#emulator === null || this.#isPumping) return;
    this.#consume();
    if (this.#seq < this.#scanned) setImmediate(() => this.#settle());
  }

  /** The emulator with every frame in it that is in the log at the time of the call. */
  async #caughtUp(): Promise<Emulator> {
    const goal = this.#log.lastSeq;
    if (this.#current === null) this.#consume();
    if (this.#seq < goal && !this.#closed) {
      await new Promise<void>((resolve) => {
        this.#waiters.push({ seq: goal, resolve });
        this.#pump();
      });
    }
    this.#touch();
    return this.#awake();
  }

  /** Catches up in slices until everybody who waits has what he asked for. */
  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    setImmediate(() => {
      this.#isPumping = false;
      if (this.#closed) return;
      this.#consume();
      this.#resolve(this.#seq);
      if (this.#goal > this.#seq || this.#waiters.length > 0) this.#pump();
      else this.#touch();
    });
  }

  #resolve(seq: number): void {
    const ready = this.#waiters.filter((waiter) => waiter.seq <= seq);
    this.#waiters = this.#waiters.filter((waiter) => waiter.seq > seq);
    for (const waiter of ready) waiter.resolve();
  }

  /** Feeds what is in the log, for one slice at most. */
  #consume(): void {
    if (this.#closed || this.#seq === this.#log.lastSeq) return;
    const emulator = this.#awake();
    try {
      this.#feed(emulator);
    } catch {
      this.#startOver();
    }
    this.#current = null;
    if (this.#seq < this.#scanned) return;
    this.#asking.clear();
    this.#backlogBytes = 0;
  }

  #feed(emulator: Emulator): void {
    const deadline = performance.now() + SLICE_MS;
    for (const frame of worthFeeding(emulator, this.#unparsed(emulator))) {
      this.#current = frame;
      if (!this.#feedFrame(emulator, frame, deadline)) return;
      this.#asking.delete(frame.seq);
      this.#seq = frame.seq;
      this.#timeMs = frame.timeMs;
      if (performance.now() >= deadline) break;
    }
  }

  /** False when the time is over before the end of the frame: the next call goes on there. */
  #feedFrame(emulator: Emulator, frame: NumberedFrame, deadline: number): boolean {
    if (frame.code !== 'o') {
      emulator.feed(frame);
      return true;
    }
    const cells = emulator.cols * emulator.rows;
    const startedMs = performance.now();
    const begun = this.#begun.seq === frame.seq ? this.#begun : { chars: 0, spentMs: 0 };
    let at = begun.chars;
    while (at < frame.data.length) {
      const nowMs = performance.now();
      const spentMs = begun.spentMs + nowMs - startedMs;
      if (spentMs > MAX_FRAME_MS) throw new RangeError('a frame takes too long to be drawn');
      if (at > begun.chars && nowMs >= deadline) {
        this.#begun = { seq: frame.seq, chars: at, spentMs };
        return false;
      }
      const end = endOfPiece(frame.data, at, cells);
      emulator.write(at === 0 && end === frame.data.length ? frame.data : frame.data.slice(at, end));
      at = end;
    }
    return true;
  }

  /** Some output was too much for the emulator: what is printed from here on is shown on a blank screen. */
  #startOver(): void {
    const { cols, rows, lastSeq, lastTimeMs } = this.#log;
    this.#emulator?.close();
    this.#emulator = null;
    this.#checkpoint = { cols, rows, ansi: '' };
    this.#state = null;
    this.#plain = null;
    this.#seq = lastSeq;
    this.#timeMs = lastTimeMs;
  }

  #unparsed(emulator: Emulator): readonly NumberedFrame[] {
    const read = this.#log.read(this.#seq, Number.POSITIVE_INFINITY);
    if (!('from' in read)) return read;
    // Frames are gone: CAN ends whatever sequence they cut, and the size is taken from the log.
    emulator.restore('\x18');
    emulator.resize(this.#log.cols, this.#log.rows);
    this.#seq = read.to;
    return this.#unparsed(emulator);
  }

  #awake(): Emulator {
    if (this.#emulator !== null) return this.#emulator;
    const { cols, rows, ansi } = this.#checkpoint;
    const onReply = (data: string): void => this.#reply(data);
    this.#emulator = new Emulator({ cols, rows, scrollback: SCROLLBACK_LINES, onReply });
    this.#emulator.restore(ansi);
    return this.#emulator;
  }

  #reply(data: string): void {
    const frame = this.#current;
    if (
      frame === null ||
      this.#closed ||
      this.#log.replaying ||
      frame.seq < this.#lastExit ||
      !this.#asking.has(frame.seq)
    )
      return;
    if (this.#log.timeMs() - frame.timeMs <= REPLY_WINDOW_MS) this.#options.reply(data, frame.seq);
  }

  /** Used just now: the emulator stays for a while. */
  #touch(): void {
    if (this.#closed) return;
    this.#idle?.cancel();
    const isSmall = (this.#emulator?.historyLines ?? 0) <= SMALL_HISTORY_LINES;
    this.#idle = this.#after(this.#options.idleMs ?? (isSmall ? IDLE_MS_WHEN_SMALL : IDLE_MS), () => {
      if (this.#holds === 0 && this.#waiters.length === 0 && !this.#isPumping) this.#drop();
    });
  }

  #after(ms: number, run: () => void): Timer {
    return (this.#options.clock ?? systemClock).after(ms, run);
  }

  /** The screen as far as the emulator is. */
  #snap(emulator: Emulator): ScreenState {
    if (this.#state?.seq === this.#seq) return this.#state;
    const { cols, rows } = emulator;
    this.#state = { seq: this.#seq, timeMs: this.#timeMs, cols, rows, ansi: emulator.snapshot() };
    return this.#state;
  }

  /** Keeps what the emulator knows as text, its history too, and lets it go. */
  #drop(): void {
    const emulator = this.#emulator;
    if (emulator === null) return;
    const { cols, rows } = emulator;
    this.#checkpoint = { cols, rows, ansi: emulator.snapshot(SCROLLBACK_LINES) };
    // Who comes before anything else is printed needs no emulator.
    this.#snap(emulator);
    this.#plain = null;
    this.#emulator = null;
    emulator.close();
  }
}
