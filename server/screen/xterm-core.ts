// The parts of @xterm/headless that its public API leaves out, named and typed: the only file that reaches inside of it.
// Written for 6.0.0, which package.json pins; it must never change the terminal's state behind the parser's back.

import { createRequire } from 'node:module';
import type { IBuffer, IUnicodeVersionProvider, Terminal } from '@xterm/headless';
import { boundCounts } from '../../protocol/sequence-count.ts';
import { boundJoined, withEmoji } from './width.ts';

/** Colours and flags of a cell or of the pen. */
export interface Attributes {
  isInverse(): number;
  isBold(): number;
  isUnderline(): number;
  isOverline(): number;
  isBlink(): number;
  isInvisible(): number;
  isItalic(): number;
  isDim(): number;
  isStrikethrough(): number;
  isFgRGB(): boolean;
  isBgRGB(): boolean;
  isFgPalette(): boolean;
  isBgPalette(): boolean;
  isAttributeDefault(): boolean;
  getFgColor(): number;
  getBgColor(): number;
  getBgColorMode(): number;
  /** 1 single, 2 double, 3 curly, 4 dotted, 5 dashed. */
  getUnderlineStyle(): number;
  getUnderlineColor(): number;
  isUnderlineColorRGB(): boolean;
  isUnderlineColorPalette(): boolean;
  isUnderlineColorDefault(): boolean;
}

export interface Cell extends Attributes {
  getWidth(): number;
  getChars(): string;
}

export type Charset = Readonly<Record<string, string>>;

/** Where a buffer scrolls, stops at tabs, and what ESC 7 saved. Rows count from the top of the screen's buffer, 0 first. */
export interface CoreBuffer {
  readonly x: number;
  readonly y: number;
  readonly ybase: number;
  readonly scrollTop: number;
  readonly scrollBottom: number;
  readonly savedX: number;
  readonly savedY: number;
  readonly savedCurAttrData: Attributes;
  readonly savedCharset: Charset | undefined;
  readonly tabs: Readonly<Record<number, boolean | undefined>>;
}

interface Core {
  writeSync(text: string): void;
  readonly buffers: { readonly normal: CoreBuffer; readonly alt: CoreBuffer };
  readonly coreService: {
    readonly isCursorHidden: boolean;
    readonly decPrivateModes: {
      readonly cursorStyle?: 'block' | 'underline' | 'bar';
      readonly cursorBlink?: boolean;
    };
  };
  readonly unicodeService: { readonly _activeProvider: IUnicodeVersionProvider };
  readonly coreMouseService: { readonly activeEncoding: string };
  readonly _charsetService: {
    readonly charset: Charset | undefined;
    readonly glevel: number;
    readonly _charsets: readonly (Charset | undefined)[];
  };
  readonly _inputHandler: {
    readonly _curAttrData: Attributes;
    readonly _parser: {
      readonly currentState: number;
      readonly precedingJoinState: number;
    };
  };
}

export interface TerminalSpec {
  readonly cols: number;
  readonly rows: number;
  readonly scrollback: number;
}

const GROUND = 0;
/** For what is loaded with the first screen: a gateway that starts has none to show yet. */
const load = createRequire(import.meta.url);

export function newTerminal({ cols, rows, scrollback }: TerminalSpec): Terminal {
  const xterm: typeof import('@xterm/headless') = load('@xterm/headless');
  const terminal = new xterm.Terminal({
    cols,
    rows,
    scrollback,
    allowProposedApi: true,
    logLevel: 'off',
    // Programs ask for the size in characters; nothing else of the window is anybody's business.
    windowOptions: { getWinSizeChars: true },
  });
  const widths = withEmoji(coreOf(terminal).unicodeService._activeProvider);
  terminal.unicode.register(widths);
  terminal.unicode.activeVersion = widths.version;
  boundCounts(terminal);
  // A link costs memory for as long as its line lives, and no snapshot has it.
  terminal.parser.registerOscHandler(8, () => true);
  return terminal;
}

const coreOf = (terminal: Terminal): Core => (terminal as unknown as { readonly _core: Core })._core;

/** Parses at once. The public write() comes a timer later; all handlers here are synchronous, so both do the same. */
export const writeNow = (terminal: Terminal, text: string): void => coreOf(terminal).writeSync(boundJoined(text));

/** Whether the last sequence is complete. */
export const isAtRest = (terminal: Terminal): boolean => coreOf(terminal)._inputHandler._parser.currentState === GROUND;

/** Whether the last thing parsed was a printed character: a combining one, or CSI b, refers to it. */
export const hasJustPrinted = (terminal: Terminal): boolean =>
  coreOf(terminal)._inputHandler._parser.precedingJoinState !== 0;

export const penOf = (terminal: Terminal): Attributes => coreOf(terminal)._inputHandler._curAttrData;
export const isCursorHidden = (terminal: Terminal): boolean => coreOf(terminal).coreService.isCursorHidden;
export const mouseEncoding = (terminal: Terminal): string => coreOf(terminal).coreMouseService.activeEncoding;
export const normalBuffer = (terminal: Terminal): CoreBuffer => coreOf(terminal).buffers.normal;
export const alternateBuffer = (terminal: Terminal): CoreBuffer => coreOf(terminal).buffers.alt;

/** Parameter of DECSCUSR; 0 when the program never set one. */
export function cursorShape(terminal: Terminal): number {
  const { cursorStyle, cursorBlink } = coreOf(terminal).coreService.decPrivateModes;
  if (cursorStyle === undefined) return 0;
  return { block: 2, underline: 4, bar: 6 }[cursorStyle] - (cursorBlink === true ? 1 : 0);
}

/** What G0 to G3 hold and which of them is in use. ESC 8 changes what is in use without designating it anew. */
export function charsets(terminal: Terminal): { inUse: number; sets: readonly (Charset | undefined)[] } {
  const { charset, glevel, _charsets } = coreOf(terminal)._charsetService;
  const sets = [0, 1, 2, 3].map((level) => (level === glevel ? charset : _charsets[level]));
  return { inUse: glevel, sets };
}

export function cellAt(buffer: IBuffer, row: number, col: number, into?: Cell): Cell | undefined {
  return buffer.getLine(row)?.getCell(col, into as never) as Cell | undefined;
}
