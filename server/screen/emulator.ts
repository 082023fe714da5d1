// A terminal emulator without a window: takes frames, tells what the screen shows. It never answers a program by itself:
// answers to terminal queries go to `onReply`, which only the live screen sets.
import type { IBuffer, Terminal } from '@xterm/headless';
import type { FrameCode } from '../../protocol/frame.ts';
import { coloredLine } from './paint.ts';
import { redraw } from './redraw.ts';
import { Unfinished } from './unfinished.ts';
import { alternateBuffer, isAtRest, isCursorHidden, newTerminal, normalBuffer, writeNow } from './xterm-core.ts';

export interface EmulatorOptions {
  readonly cols: number;
  readonly rows: number;
  /** Lines kept above the screen. */
  readonly scrollback?: number;
  /** Gets what a terminal answers to the queries in the output. */
  readonly onReply?: (data: string) => void;
}

export interface ScreenModes {
  readonly alternateScreen: boolean;
  /** DECCKM: arrow keys are sent as ESC O x. */
  readonly applicationCursor: boolean;
  readonly applicationKeypad: boolean;
  readonly bracketedPaste: boolean;
  readonly mouse: boolean;
}

export interface CursorPlace {
  /** From 0, top left. */
  readonly col: number;
  readonly row: number;
  readonly visible: boolean;
}

/** Larger ones are no terminal's, only a cast's that somebody edited. */
const MAX_SIZE = 1000;
/** xterm's own least. */
const MIN_SIZE = 2;
const MAX_TITLE_CHARS = 500;
/** Read at once: a tenth of a second when a program has given each its own colours. 1,000 lines of history fit at up to 150 columns. */
const MAX_CELLS = 160_000;
/** Mouse encodings that xterm knows nothing of but viewers may. */
const FOREIGN_MODES: ReadonlySet<number> = new Set([1005, 1015]);
/** What the viewer's default theme shows, for programs that choose colours by the background. */
const COLORS = [
  [10, 'cccc/cccc/cccc'],
  [11, '1212/1313/1414'],
  [12, 'cccc/cccc/cccc'],
] as const;

export class Emulator {
  readonly #terminal: Terminal;
  readonly #unfinished = new Unfinished();
  readonly #foreignModes = new Set<number>();
  readonly #onReply: ((data: string) => void) | undefined;
  #title = '';
  /** A first half of a surrogate pair; its second half is still to come. */
  #half = '';
  #silent = false;

  constructor(options: EmulatorOptions) {
    const { cols, rows, scrollback = 0 } = options;
    this.#terminal = newTerminal({ cols: clamped(cols), rows: clamped(rows), scrollback });
    this.#onReply = options.onReply;
    this.#listen();
  }

  get cols(): number {
    return this.#terminal.cols;
  }

  get rows(): number {
    return this.#terminal.rows;
  }

  /** Without control characters and what changes the direction of text. */
  get title(): string {
    return this.#title;
  }

  get cursor(): CursorPlace {
    const { cursorX, cursorY } = this.#terminal.buffer.active;
    return { col: Math.min(cursorX, this.cols - 1), row: cursorY, visible: !isCursorHidden(this.#terminal) };
  }

  get modes(): ScreenModes {
    const { modes, buffer } = this.#terminal;
    return {
      alternateScreen: buffer.active.type === 'alternate',
      applicationCursor: modes.applicationCursorKeysMode,
      applicationKeypad: modes.applicationKeypadMode,
      bracketedPaste: modes.bracketedPasteMode,
      mouse: modes.mouseTrackingMode !== 'none',
    };
  }

  /** Whether lines that run off the bottom push out all the others, so that only the newest ones can be seen. */
  get scrollsWhole(): boolean {
    const isMain = this.#terminal.buffer.active.type === 'normal';
    const { scrollTop, scrollBottom } = (isMain ? normalBuffer : alternateBuffer)(this.#terminal);
    return scrollTop === 0 && scrollBottom === this.rows - 1 && isAtRest(this.#terminal);
  }

  /** Lines of which nothing remains once so many others have followed. */
  get reach(): number {
    return 2 * this.rows + (this.#terminal.options.scrollback ?? 0);
  }

  /** Lines above the screen, of the screen that has some. */
  get historyLines(): number {
    return this.#terminal.buffer.normal.baseY;
  }

  feed(frame: { readonly code: FrameCode; readonly data: string }): void {
    if (frame.code === 'o') this.write(frame.data);
    else if (frame.code === 'r') this.#resizeTo(frame.data);
  }

  /** Parses at once. */
  write(text: string): void {
    const whole = this.#half + text;
    this.#half = endsInHalf(whole) ? whole.slice(-1) : '';
    const complete = this.#half === '' ? whole : whole.slice(0, -1);
    if (complete === '') return;
    writeNow(this.#terminal, complete);
    this.#unfinished.after(complete, isAtRest(this.#terminal));
  }

  /** As write, but queries in it have been answered before. */
  restore(snapshot: string): void {
    this.#silent = true;
    this.write(snapshot);
    this.#silent = false;
  }

  resize(cols: number, rows: number): void {
    this.#terminal.resize(clamped(cols), clamped(rows));
  }

  /** ANSI text that brings a fresh terminal of this size into this state; lines of history end up in its scrollback. */
  snapshot(history = 0): string {
    const lines = this.#affordable(history);
    const drawn = redraw(this.#terminal, { title: this.#title, modes: this.#foreignModes, history: lines });
    return drawn + this.#unfinished.text;
  }

  /** The screen as text, up to `history` lines above it first; blank lines at the end are left out. */
  text(history = 0): string {
    return this.#lines(history, (buffer, row) => buffer.getLine(row)?.translateToString(true) ?? '');
  }

  /** As text, with colours. */
  ansi(history = 0): string {
    return this.#lines(history, (buffer, row) => coloredLine(buffer, row, this.cols));
  }

  /**
   * Gives out the lines that have left the main screen and forgets them; with `all` those on it too.
   * A line that goes on in the next one ends without a newline.
   */
  takeLines(all: boolean): string {
    const { normal, active } = this.#terminal.buffer;
    // Forgetting works on the active buffer, and only between sequences.
    const canForget = active.type === 'normal' && isAtRest(this.#terminal);
    if (!all && !canForget) return '';
    const end = all ? normal.length : normal.baseY;
    let text = '';
    for (let row = 0; row < end; row++) {
      const goesOn = normal.getLine(row + 1)?.isWrapped === true;
      text += `${normal.getLine(row)?.translateToString(!goesOn) ?? ''}${goesOn ? '' : '\n'}`;
    }
    if (end > 0 && canForget) writeNow(this.#terminal, '\x1b[3J');
    return text;
  }

  close(): void {
    this.#terminal.dispose();
  }

  /** Lines of history that fit beside the screen into what is read at once. */
  #affordable(history: number): number {
    return Math.min(history, Math.max(0, Math.floor(MAX_CELLS / this.cols) - this.rows));
  }

  #lines(history: number, line: (buffer: IBuffer, row: number) => string): string {
    const { active } = this.#terminal.buffer;
    const lines: string[] = [];
    for (let row = Math.max(0, active.baseY - this.#affordable(history)); row < active.baseY + this.rows; row++) {
      lines.push(line(active, row));
    }
    while (lines.at(-1) === '') lines.pop();
    return lines.join('\n');
  }

  #resizeTo(size: string): void {
    const [, cols, rows] = /^(\d{1,5})x(\d{1,5})$/.exec(size) ?? [];
    if (cols !== undefined && rows !== undefined) this.resize(Number(cols), Number(rows));
  }

  #listen(): void {
    const { parser } = this.#terminal;
    this.#terminal.onData((data) => this.#reply(data));
    this.#terminal.onTitleChange((title) => {
      this.#title = harmlessTitle(title);
    });
    parser.registerCsiHandler({ prefix: '?', final: 'h' }, (modes) => this.#setForeign(modes, true));
    parser.registerCsiHandler({ prefix: '?', final: 'l' }, (modes) => this.#setForeign(modes, false));
    parser.registerEscHandler({ final: 'c' }, () => {
      this.#foreignModes.clear();
      return false;
    });
    parser.registerCsiHandler({ prefix: '>', final: 'q' }, () => this.#reply('\x1bP>|slotcast\x1b\\'));
    for (const [number, color] of COLORS) {
      parser.registerOscHandler(number, (data) => data === '?' && this.#reply(`\x1b]${number};rgb:${color}\x1b\\`));
    }
  }

  #setForeign(modes: readonly (number | number[])[], on: boolean): boolean {
    for (const mode of modes) {
      if (typeof mode !== 'number' || !FOREIGN_MODES.has(mode)) continue;
      if (on) this.#foreignModes.add(mode);
      else this.#foreignModes.delete(mode);
    }
    return false;
  }

  #reply(data: string): true {
    if (!this.#silent) this.#onReply?.(data);
    return true;
  }
}

export const harmlessTitle = (title: string): string =>
  title.slice(0, MAX_TITLE_CHARS).replace(/[\p{Cc}\p{Bidi_Control}\p{Surrogate}]/gu, '');

const clamped = (size: number): number => Math.min(MAX_SIZE, Math.max(MIN_SIZE, Math.trunc(size) || MIN_SIZE));

function endsInHalf(text: string): boolean {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last <= 0xdbff;
}
