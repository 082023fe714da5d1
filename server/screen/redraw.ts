// A terminal's whole state as ANSI text for a fresh terminal of the same size: screen, cursor, pen, modes, margins, charsets, title.
// Right only while the parser is at rest; who asks elsewhere must send the bytes of the unfinished sequence after it.
import type { Terminal } from '@xterm/headless';
import { Painter, sgr } from './paint.ts';
import {
  alternateBuffer,
  type Cell,
  type Charset,
  type CoreBuffer,
  cellAt,
  charsets,
  cursorShape,
  hasJustPrinted,
  isCursorHidden,
  mouseEncoding,
  normalBuffer,
  penOf,
} from './xterm-core.ts';

export interface Extra {
  /** Sanitized. */
  readonly title: string;
  /** Private modes that xterm doesn't keep. */
  readonly modes: Iterable<number>;
  /** Lines above the screen to draw too; they end up in the scrollback. */
  readonly history: number;
}

export function redraw(terminal: Terminal, extra: Extra): string {
  const { active, normal, alternate } = terminal.buffer;
  const { cols, rows } = terminal;
  const top = normal.baseY;
  const history = Math.min(extra.history, top);
  const main = new Painter(normal, cols).rows(top - history, top + rows, history > 0);
  if (active.type === 'normal') return main + tail(terminal, normalBuffer(terminal), extra);
  const other = new Painter(alternate, cols).rows(0, rows, false);
  return main + switchScreen(terminal) + other + tail(terminal, alternateBuffer(terminal), extra);
}

/** Leaves the main screen as it is to be found again: ?1049h saves cursor and pen. */
function switchScreen(terminal: Terminal): string {
  const buffer = normalBuffer(terminal);
  const region = margins(buffer, terminal.rows);
  const reset = region === '' ? '' : '\x1b[r';
  return `${tabStops(buffer, terminal.cols)}${region}${save(buffer, '\x1b[?1049h')}\x1b[0m${reset}\x1b[2J\x1b[H`;
}

function tail(terminal: Terminal, buffer: CoreBuffer, extra: Extra): string {
  const before = [
    tabStops(buffer, terminal.cols),
    margins(buffer, terminal.rows),
    isDefaultSaved(buffer) ? '' : save(buffer, '\x1b7'),
    '\x1b[0m',
    modes(terminal, extra.modes),
    extra.title === '' ? '' : `\x1b]2;${extra.title}\x07`,
    cursorShape(terminal) === 0 ? '' : `\x1b[${cursorShape(terminal)} q`,
    isCursorHidden(terminal) ? '\x1b[?25l' : '',
    terminal.modes.originMode ? '\x1b[?6h' : '',
  ];
  return before.join('') + finish(terminal, buffer);
}

/** Cursor and pen. A cursor behind the last column, or a character that another may join, only comes back by printing once more. */
function finish(terminal: Terminal, buffer: CoreBuffer): string {
  const pen = sgr(penOf(terminal));
  const insert = terminal.modes.insertMode ? '\x1b[4h' : '';
  const sets = designations(terminal);
  const last = lastCell(terminal, buffer);
  if (last !== null && hasJustPrinted(terminal) && sgr(last.cell) === pen) {
    // Inserting would push the row to the right: makes room for it first.
    const room = insert === '' ? '' : `\x1b[${last.cell.getWidth()}P`;
    return `${sets}${insert}${moveTo(terminal, buffer, last.col)}${pen}${room}${last.chars}`;
  }
  if (last === null || buffer.x < terminal.cols) {
    return `${moveTo(terminal, buffer, buffer.x)}${sets}${insert}${penAfter(pen)}`;
  }
  const emptied = isBlankRow(terminal, buffer) ? '\x1b[1K' : '';
  return `${moveTo(terminal, buffer, last.col)}${sgr(last.cell)}${last.chars}${emptied}${sets}${insert}${pen}`;
}

/** A row that was erased while the cursor stood behind it. */
const isBlankRow = (terminal: Terminal, { ybase, y }: CoreBuffer): boolean =>
  terminal.buffer.active.getLine(ybase + y)?.translateToString(true) === '';

const penAfter = (pen: string): string => (pen === '\x1b[0m' ? '' : pen);

function lastCell(terminal: Terminal, buffer: CoreBuffer): { col: number; cell: Cell; chars: string } | null {
  for (let col = Math.min(buffer.x, terminal.cols) - 1; col >= 0; col--) {
    const cell = cellAt(terminal.buffer.active, buffer.ybase + buffer.y, col);
    if (cell === undefined) return null;
    if (cell.getWidth() > 0) return { col, cell, chars: cell.getChars() || ' ' };
  }
  return null;
}

function moveTo(terminal: Terminal, buffer: CoreBuffer, col: number): string {
  const top = terminal.modes.originMode ? buffer.scrollTop : 0;
  return position(buffer.y - top, Math.min(col, terminal.cols - 1));
}

const position = (row: number, col: number): string => `\x1b[${Math.max(0, row) + 1};${col + 1}H`;

/** Puts cursor, pen and charset where they are to be saved from, and saves them by this sequence. */
function save({ savedX, savedY, ybase, savedCurAttrData, savedCharset }: CoreBuffer, sequence: string): string {
  const place = `${position(savedY - ybase, savedX)}${sgr(savedCurAttrData)}`;
  return isDrawing(savedCharset) ? `${place}\x1b(0${sequence}\x1b(B` : place + sequence;
}

const isDefaultSaved = ({ savedX, savedY, savedCurAttrData, savedCharset, ybase }: CoreBuffer): boolean =>
  savedX === 0 && savedY <= ybase && savedCurAttrData.isAttributeDefault() && !isDrawing(savedCharset);

const margins = ({ scrollTop, scrollBottom }: CoreBuffer, rows: number): string =>
  scrollTop === 0 && scrollBottom === rows - 1 ? '' : `\x1b[${scrollTop + 1};${scrollBottom + 1}r`;

/** Columns from one tab stop to the next on a fresh terminal. */
const TAB_WIDTH = 8;

function tabStops({ tabs }: CoreBuffer, cols: number): string {
  const stops = Array.from({ length: cols }, (_, col) => col).filter((col) => tabs[col] === true);
  const usual = Array.from({ length: Math.ceil(cols / TAB_WIDTH) }, (_, index) => index * TAB_WIDTH);
  if (stops.join() === usual.join()) return '';
  return `\x1b[3g${stops.map((col) => `${position(0, col)}\x1bH`).join('')}`;
}

function modes(terminal: Terminal, extra: Iterable<number>): string {
  const set = terminal.modes;
  const tracking = { none: 0, x10: 9, vt200: 1000, drag: 1002, any: 1003 }[set.mouseTrackingMode];
  const encoding = { SGR: 1006, SGR_PIXELS: 1016 }[mouseEncoding(terminal)] ?? 0;
  const on = [
    set.applicationCursorKeysMode ? 1 : 0,
    terminal.options.cursorBlink === true ? 12 : 0,
    set.reverseWraparoundMode ? 45 : 0,
    set.applicationKeypadMode ? 66 : 0,
    set.bracketedPasteMode ? 2004 : 0,
    set.sendFocusMode ? 1004 : 0,
    tracking,
    ...extra,
    encoding,
  ].filter((mode) => mode !== 0);
  const wrap = set.wraparoundMode ? '' : '\x1b[?7l';
  const newline = terminal.options.convertEol === true ? '\x1b[20h' : '';
  return on.map((mode) => `\x1b[?${mode}h`).join('') + wrap + newline;
}

/** The drawing characters are the one set that programs still use; the others are sent as what they print. */
function designations(terminal: Terminal): string {
  const { inUse, sets } = charsets(terminal);
  const designate = sets.map((set, index) => (isDrawing(set) ? `\x1b${'()*+'[index] ?? '('}0` : '')).join('');
  const shift = ['', '\x0e', '\x1bn', '\x1bo'][inUse] ?? '';
  return designate + shift;
}

const isDrawing = (set: Charset | undefined): boolean => set?.['q'] === '\u2500';
