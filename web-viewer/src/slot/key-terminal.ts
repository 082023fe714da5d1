// The one file that knows xterm.js. It gives out what a person typed or pasted, and never what a terminal answers by itself: the gateway does that.
import type { ITerminalOptions, Terminal } from '@xterm/xterm';
import { boundCounts } from '../../../protocol/sequence-count.ts';
import { holdStyles } from './terminal-style.ts';

export interface KeyTerminal {
  /** Everything anew: a size and the text that draws the screen. */
  reset(screen: { readonly cols: number; readonly rows: number; readonly screen: string }): void;
  /** Resolves when it is drawn, so that a flood waits. */
  write(text: string): Promise<void>;
  /** `COLSxROWS`, as in a frame. */
  resize(size: string): void;
  close(): void;
}

const FONT =
  'ui-monospace, "Cascadia Code", "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace';
/** Between what can be read and what is comfortable. */
const FONT_PX = { min: 5, max: 22 } as const;

export async function openKeyTerminal(place: HTMLElement, typed: (text: string) => void): Promise<KeyTerminal> {
  const [{ Terminal }] = await Promise.all([import('@xterm/xterm'), import('@xterm/xterm/css/xterm.css')]);
  const terminal = new Terminal(options());
  answerNothing(terminal);
  boundCounts(terminal);
  terminal.onData((data) => {
    if (!isReport(data)) typed(data);
  });
  const styles = holdStyles(() => terminal.open(place));
  const fitNow = (): void => fitFont(terminal, place);
  const observer = new ResizeObserver(fitNow);
  observer.observe(place);
  terminal.focus();
  return {
    reset: ({ cols, rows, screen }) => {
      terminal.reset();
      terminal.resize(cols, rows);
      terminal.write(screen);
      fitNow();
    },
    write: (text) => new Promise((resolve) => terminal.write(text, resolve)),
    resize: (size) => {
      const [cols = 0, rows = 0] = size.split('x').map(Number);
      if (cols > 0 && rows > 0) terminal.resize(cols, rows);
      fitNow();
    },
    close: () => {
      observer.disconnect();
      terminal.dispose();
      styles.close();
      place.replaceChildren();
    },
  };
}

const options = (): ITerminalOptions => ({
  fontFamily: FONT,
  fontSize: 12,
  scrollback: 1000,
  cursorBlink: false,
  // Links that a terminal prints lead nowhere.
  linkHandler: { activate: () => {} },
  windowOptions: {},
  theme: themeOf(getComputedStyle(document.documentElement)),
});

/** Every query that xterm.js would answer, taken out: identity, status, modes, settings, colours, window. */
function answerNothing(terminal: Terminal): void {
  const swallow = (): boolean => true;
  const { parser } = terminal;
  for (const prefix of [undefined, '>', '=', '?']) {
    for (const final of ['c', 'n', 'q', 'u', 't', 'x']) {
      // Without a prefix u restores the cursor; q and x with none are settings.
      if (prefix === undefined && (final === 'u' || final === 'q')) continue;
      parser.registerCsiHandler(prefix === undefined ? { final } : { prefix, final }, swallow);
    }
  }
  parser.registerCsiHandler({ intermediates: '$', final: 'p' }, swallow);
  parser.registerCsiHandler({ prefix: '?', intermediates: '$', final: 'p' }, swallow);
  parser.registerDcsHandler({ intermediates: '$', final: 'q' }, swallow);
  parser.registerDcsHandler({ intermediates: '+', final: 'q' }, swallow);
  // Colours that are asked for; clipboard; links.
  for (const code of [4, 8, 10, 11, 12, 52]) parser.registerOscHandler(code, swallow);
  // Reports of the focus, which nobody typed.
  parser.registerCsiHandler({ prefix: '?', final: 'h' }, (params) => params.length === 1 && params[0] === 1004);
  parser.registerEscHandler({ final: 'Z' }, swallow);
}

/** A click on the terminal, and that it has the focus, is nothing that somebody typed. */
const isReport = (data: string): boolean => /^\x1b\[(?:M[\s\S]{3}$|<[\d;]+[Mm]$|[IO]$)/.test(data);

/** As large as the slot's size lets it be: the size itself is the agent's. */
function fitFont(terminal: Terminal, place: HTMLElement): void {
  const { clientWidth, clientHeight } = place;
  const screen = place.querySelector('.xterm-screen');
  const fontSize = terminal.options.fontSize ?? 12;
  if (screen === null || clientWidth === 0 || screen.clientWidth === 0) return;
  const scale = Math.min(clientWidth / screen.clientWidth, clientHeight / screen.clientHeight);
  const wanted = Math.floor(Math.min(FONT_PX.max, Math.max(FONT_PX.min, fontSize * scale)) * 2) / 2;
  if (Math.abs(wanted - fontSize) >= 0.5) terminal.options.fontSize = wanted;
}

const colours = [
  'black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white',
  'brightBlack', 'brightRed', 'brightGreen', 'brightYellow', 'brightBlue', 'brightMagenta', 'brightCyan', 'brightWhite',
] as const; // biome-ignore format: two lines of eight, as the terminal numbers them

function themeOf(style: CSSStyleDeclaration): NonNullable<ITerminalOptions['theme']> {
  const colour = (name: string): string => style.getPropertyValue(`--term-${name}`).trim();
  return {
    foreground: colour('foreground'),
    background: colour('background'),
    cursor: colour('foreground'),
    ...Object.fromEntries(colours.map((name, number) => [name, colour(String(number))])),
  };
}
