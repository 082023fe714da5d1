// How many columns a character takes, as programs on Linux and the viewer's emulator count them. xterm's own table is that of Unicode 6,
// in which an emoji takes one; a wrong width would shift everything behind it.
import type { IUnicodeVersionProvider } from '@xterm/headless';

/** Blocks in which emoji lie. */
const BLOCKS = [
  { first: 0x2300, end: 0x2c00 },
  { first: 0x1f000, end: 0x1fb00 },
] as const;
const LOWEST = 0x2300;

/** Shown as an emoji unless told otherwise. Half a flag takes one column by itself. */
const isEmoji = (code: number): boolean =>
  /^(?!\p{Regional_Indicator})\p{Emoji_Presentation}/u.test(String.fromCodePoint(code));

/** One byte a character: asked for each that is printed. */
const emoji: readonly Uint8Array[] = BLOCKS.map(({ first, end }) =>
  Uint8Array.from({ length: end - first }, (_, index) => (isEmoji(first + index) ? 1 : 0)),
);

function isWideEmoji(code: number): boolean {
  if (code < LOWEST) return false;
  return BLOCKS.some(({ first, end }, block) => code >= first && code < end && emoji[block]?.[code - first] === 1);
}

/** xterm packs a width and whether the character joins the one before it into one number; 0 is no character. */
const pack = (width: number, joins: boolean): number => (width << 1) | (joins ? 1 : 0);
const widthOf = (packed: number): number => (packed >> 1) & 3;

/** Widths of Unicode 6 with the emoji that came since. */
export function withEmoji(base: IUnicodeVersionProvider): IUnicodeVersionProvider {
  const wcwidth = (code: number): 0 | 1 | 2 => (isWideEmoji(code) ? 2 : base.wcwidth(code));
  const charProperties = (code: number, preceding: number): number => {
    const width = wcwidth(code);
    const before = widthOf(preceding);
    return width === 0 && before > 0 ? pack(before, true) : pack(width, false);
  };
  return { version: 'emoji', wcwidth, charProperties };
}

/** More marks than any script puts on one character; a cell would take millions. */
const TOO_MANY_MARKS = /([\p{M}\p{Cf}]{16})[\p{M}\p{Cf}]+/gu;

/** The text without marks that no cell has room for. */
export const boundJoined = (text: string): string => text.replace(TOO_MANY_MARKS, '$1');
