// Rows of a buffer as ANSI text: colours, wide characters, and line breaks that wrap again when the terminal is resized.
// @xterm/addon-serialize loses backgrounds of rows without text; this keeps every cell. It never moves the cursor upwards further than one row.
import type { IBuffer } from '@xterm/headless';
import { type Attributes, type Cell, cellAt } from './xterm-core.ts';

/** Parameters of the SGR sequence that sets exactly these attributes on top of a reset. */
function sgrParameters(a: Attributes): string {
  const parameters = ['0'];
  if (a.isAttributeDefault()) return '0';
  if (a.isBold()) parameters.push('1');
  if (a.isDim()) parameters.push('2');
  if (a.isItalic()) parameters.push('3');
  if (a.isUnderline()) parameters.push(underline(a));
  if (a.isBlink()) parameters.push('5');
  if (a.isInverse()) parameters.push('7');
  if (a.isInvisible()) parameters.push('8');
  if (a.isStrikethrough()) parameters.push('9');
  if (a.isOverline()) parameters.push('53');
  if (a.isFgRGB()) parameters.push(`38;2;${rgb(a.getFgColor(), ';')}`);
  else if (a.isFgPalette()) parameters.push(paletteColor(a.getFgColor(), 30));
  const background = backgroundOf(a);
  if (background !== '') parameters.push(background);
  return parameters.join(';');
}

function underline(a: Attributes): string {
  const style = a.getUnderlineStyle() > 1 ? `4:${a.getUnderlineStyle()}` : '4';
  const color = a.getUnderlineColor();
  if (color === a.getFgColor() || a.isUnderlineColorDefault()) return style;
  if (a.isUnderlineColorRGB()) return `${style};58:2::${rgb(color, ':')}`;
  return a.isUnderlineColorPalette() ? `${style};58:5:${color}` : style;
}

const rgb = (color: number, separator: string): string =>
  [(color >>> 16) & 255, (color >>> 8) & 255, color & 255].join(separator);

function paletteColor(color: number, base: 30 | 40): string {
  if (color < 8) return String(base + color);
  return color < 16 ? String(base + 60 + color - 8) : `${base + 8};5;${color}`;
}

function backgroundOf(a: Attributes): string {
  if (a.isBgRGB()) return `48;2;${rgb(a.getBgColor(), ';')}`;
  return a.isBgPalette() ? paletteColor(a.getBgColor(), 40) : '';
}

/** The SGR sequence for these attributes. */
export const sgr = (a: Attributes): string => `\x1b[${sgrParameters(a)}m`;

/** Cells without a character, next to each other, with one background. */
interface Blank {
  readonly col: number;
  readonly count: number;
  readonly background: string;
}

/** Emulators may differ in the width of what is no single code unit. */
const mayDiffer = (chars: string): boolean => chars.length > 1;

export class Painter {
  readonly #buffer: IBuffer;
  readonly #cols: number;
  #out = '';
  #style = '0';
  #hasBackground = false;
  /** Column where the next character lands; cols when the line is full. */
  #at = 0;
  /** Row ends that have not been written yet: blank rows at the bottom need none. */
  #breaks = 0;
  readonly #cell: Cell | undefined;

  constructor(buffer: IBuffer, cols: number) {
    this.#buffer = buffer;
    this.#cols = cols;
    this.#cell = buffer.getNullCell() as unknown as Cell;
  }

  /** Rows first ≤ row < end, one after the other from the top left; with `whole` blank rows at the end are written too. */
  rows(first: number, end: number, whole: boolean): string {
    let owed: Blank | null = null;
    for (let row = first; row < end; row++) {
      const wraps = row + 1 < end && this.#buffer.getLine(row + 1)?.isWrapped === true;
      const continues = row > first && this.#buffer.getLine(row)?.isWrapped === true;
      if (row > first && !continues) this.#breaks++;
      owed = this.#row(row, continues, wraps, owed);
    }
    if (whole) this.#writeBreaks();
    return `${this.#out}${this.#style === '0' ? '' : '\x1b[0m'}`;
  }

  /** One row; gives the blank cells at its end that were filled to make it wrap and are to be emptied once it has. */
  #row(row: number, continues: boolean, wraps: boolean, owed: Blank | null): Blank | null {
    let blank: Blank | null = null;
    let first = continues;
    if (continues) this.#at = 0;
    let emptied: Blank | null = null;
    for (let col = 0; col < this.#cols; col++) {
      const cell = cellAt(this.#buffer, row, col, this.#cell);
      if (cell === undefined || cell.getWidth() === 0) continue;
      const chars = cell.getChars();
      if (chars === '' && !first) {
        blank = this.#extend(blank, col, backgroundOf(cell));
        continue;
      }
      if (blank !== null) this.#erase(blank);
      blank = null;
      if (chars === '') emptied = { col, count: 1, background: backgroundOf(cell) };
      this.#print(cell, chars === '' ? ' ' : chars, col);
      if (first) this.#afterWrap(owed, emptied);
      first = false;
    }
    return this.#endRow(row, blank, wraps);
  }

  #extend(blank: Blank | null, col: number, background: string): Blank {
    if (blank === null) return { col, count: 1, background };
    if (blank.background === background) return { ...blank, count: blank.count + 1 };
    this.#erase(blank);
    return { col, count: 1, background };
  }

  #endRow(row: number, blank: Blank | null, wraps: boolean): Blank | null {
    if (blank === null) return null;
    if (!wraps) {
      this.#erase(blank);
      return null;
    }
    this.#moveTo(blank.col);
    const next = cellAt(this.#buffer, row + 1, 0);
    if (blank.count === 1 && next?.getWidth() === 2) return null;
    this.#setStyle('0', false);
    this.#out += ' '.repeat(blank.count);
    return blank;
  }

  /** The wrap has happened: takes back what was only written to make it happen. */
  #afterWrap(owed: Blank | null, emptied: Blank | null): void {
    const column = `\x1b[${this.#at + 1}G`;
    if (this.#hasBackground && this.#at < this.#cols) {
      this.#setStyle('0', false);
      this.#out += '\x1b[K';
    }
    if (owed !== null) {
      this.#setStyle(owed.background === '' ? '0' : `0;${owed.background}`, owed.background !== '');
      this.#out += `\x1b[A\x1b[${owed.col + 1}G\x1b[${owed.count}X\x1b[B${column}`;
    }
    if (emptied !== null) {
      this.#setStyle(emptied.background === '' ? '0' : `0;${emptied.background}`, emptied.background !== '');
      this.#out += `\x1b[1G\x1b[X${column}`;
    }
  }

  #print(cell: Cell, chars: string, col: number): void {
    this.#moveTo(col);
    this.#setStyle(sgrParameters(cell), backgroundOf(cell) !== '');
    this.#out += chars;
    this.#at = col + cell.getWidth();
    if (mayDiffer(chars) && this.#at < this.#cols) this.#out += `\x1b[${this.#at + 1}G`;
  }

  #erase({ col, count, background }: Blank): void {
    if (background === '') return;
    this.#moveTo(col);
    this.#setStyle(`0;${background}`, true);
    this.#out += `\x1b[${count}X`;
  }

  #moveTo(col: number): void {
    this.#writeBreaks();
    if (col > this.#at) this.#out += `\x1b[${col - this.#at}C`;
    this.#at = col;
  }

  #writeBreaks(): void {
    if (this.#breaks === 0) return;
    // A line that scrolls in takes the background of the pen.
    if (this.#hasBackground) this.#setStyle('0', false);
    this.#out += '\r\n'.repeat(this.#breaks);
    this.#breaks = 0;
    this.#at = 0;
  }

  #setStyle(parameters: string, hasBackground: boolean): void {
    if (parameters === this.#style) return;
    this.#style = parameters;
    this.#hasBackground = hasBackground;
    this.#out += `\x1b[${parameters}m`;
  }
}

/** One row as a line of text with colours and without any movement. */
export function coloredLine(buffer: IBuffer, row: number, cols: number): string {
  let out = '';
  let blanks = '';
  let style = '0';
  const shared = buffer.getNullCell() as unknown as Cell;
  for (let col = 0; col < cols; col++) {
    const cell = cellAt(buffer, row, col, shared);
    if (cell === undefined || cell.getWidth() === 0) continue;
    const chars = cell.getChars();
    const background = backgroundOf(cell);
    if (chars === '' && background === '') {
      blanks += ' ';
      continue;
    }
    const wanted = chars === '' ? `0;${background}` : sgrParameters(cell);
    if (blanks !== '' && style !== '0') {
      out += '\x1b[0m';
      style = '0';
    }
    out += blanks;
    blanks = '';
    if (wanted !== style) out += `\x1b[${wanted}m`;
    style = wanted;
    out += chars === '' ? ' ' : chars;
  }
  return style === '0' ? out : `${out}\x1b[0m`;
}
