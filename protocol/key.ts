// Key names in tmux notation and the bytes that a keyboard sends for them, encoded as xterm does. Pure; never refuses a string.

export interface KeyMode {
  /** DECCKM: the program asked for application cursor keys. */
  readonly applicationCursor: boolean;
}

const SHIFT = 1;
const META = 2;
const CTRL = 4;
const ESC = '\x1b';

const MODIFIERS: ReadonlyMap<string, number> = new Map([
  ['s', SHIFT],
  ['m', META],
  ['c', CTRL],
]);

/** Keys with a final letter: CSI, or SS3 in application mode; with modifiers always CSI 1;m. */
const CURSOR: ReadonlyMap<string, string> = new Map([
  ['up', 'A'],
  ['down', 'B'],
  ['right', 'C'],
  ['left', 'D'],
  ['home', 'H'],
  ['end', 'F'],
]);

/** SS3 whatever the mode; with modifiers CSI 1;m. */
const FUNCTION_LETTER: ReadonlyMap<string, string> = new Map([
  ['f1', 'P'],
  ['f2', 'Q'],
  ['f3', 'R'],
  ['f4', 'S'],
]);

/** CSI number ~. The numbers have holes where the VT220 keyboard had them. */
const NUMBERED: ReadonlyMap<string, number> = new Map([
  ['ic', 2],
  ['insert', 2],
  ['dc', 3],
  ['delete', 3],
  ['ppage', 5],
  ['pageup', 5],
  ['pgup', 5],
  ['npage', 6],
  ['pagedown', 6],
  ['pgdn', 6],
  ['f5', 15],
  ['f6', 17],
  ['f7', 18],
  ['f8', 19],
  ['f9', 20],
  ['f10', 21],
  ['f11', 23],
  ['f12', 24],
]);

/** Keys that stand for one character. */
const CHARACTER: ReadonlyMap<string, string> = new Map([
  ['enter', '\r'],
  ['escape', ESC],
  ['space', ' '],
  ['tab', '\t'],
  ['bspace', '\x7f'],
  ['kpenter', '\r'],
  ...[...'0123456789/*-+.'].map((character): [string, string] => [`kp${character}`, character]),
]);

/** What Ctrl makes of a character beyond @ A–Z [ \ ] ^ _, as on a VT220. */
const CTRL_ALIASES: ReadonlyMap<string, string> = new Map([
  [' ', '\0'],
  ['2', '\0'],
  ['3', ESC],
  ['4', '\x1c'],
  ['5', '\x1d'],
  ['6', '\x1e'],
  ['7', '\x1f'],
  ['/', '\x1f'],
  ['8', '\x7f'],
  ['?', '\x7f'],
  ['\x7f', '\b'],
]);

/** The bytes (as text, to be sent as UTF-8) of one key: `Enter`, `C-c`, `^c`, `M-x`, `S-Up`, `F5`, …; what is no key name comes back as it is. */
export function keyBytes(key: string, mode: KeyMode): string {
  const { modifiers, name } = parse(key);
  return named(name.toLowerCase(), modifiers, mode) ?? character(name, modifiers) ?? key;
}

/** Whether the bytes of this key depend on the mode, which costs something to find out. */
export function dependsOnMode(key: string): boolean {
  return keyBytes(key, { applicationCursor: true }) !== keyBytes(key, { applicationCursor: false });
}

function parse(key: string): { modifiers: number; name: string } {
  let modifiers = 0;
  let name = key;
  if (name.startsWith('^') && name.length > 1) {
    modifiers = CTRL;
    name = name.slice(1);
  }
  while (name.length > 2 && name[1] === '-') {
    const modifier = MODIFIERS.get(name.charAt(0).toLowerCase());
    if (modifier === undefined) break;
    modifiers |= modifier;
    name = name.slice(2);
  }
  return { modifiers, name };
}

function named(name: string, modifiers: number, mode: KeyMode): string | null {
  const letter = CURSOR.get(name);
  if (letter !== undefined) return lettered(letter, modifiers, mode.applicationCursor);
  const functionLetter = FUNCTION_LETTER.get(name);
  if (functionLetter !== undefined) return lettered(functionLetter, modifiers, true);
  const number = NUMBERED.get(name);
  if (number !== undefined) return `${ESC}[${number}${modifiers === 0 ? '' : `;${1 + modifiers}`}~`;
  if (name === 'btab' || (name === 'tab' && modifiers & SHIFT)) return `${modifiers & META ? ESC : ''}${ESC}[Z`;
  const text = CHARACTER.get(name);
  return text === undefined ? null : character(text, modifiers);
}

function lettered(letter: string, modifiers: number, application: boolean): string {
  if (modifiers !== 0) return `${ESC}[1;${1 + modifiers}${letter}`;
  return `${ESC}${application ? 'O' : '['}${letter}`;
}

/** One character with modifiers, or null when that is no key. */
function character(text: string, modifiers: number): string | null {
  if ([...text].length !== 1) return null;
  const shifted = modifiers & SHIFT ? text.toUpperCase() : text;
  const controlled = modifiers & CTRL ? control(shifted) : shifted;
  if (controlled === null) return null;
  return modifiers & META ? ESC + controlled : controlled;
}

/** Ctrl with a character that has no control code sends the character itself; outside of ASCII there is no such key. */
function control(text: string): string | null {
  const code = text.toUpperCase().charCodeAt(0);
  if (code > 0x7f) return null;
  if (code >= 0x40 && code <= 0x5f) return String.fromCharCode(code & 0x1f);
  return CTRL_ALIASES.get(text) ?? text;
}
