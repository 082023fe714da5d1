// Text that somebody else wrote, as text: what would be invisible or turn the line around is shown as a sign instead. Pure.

/** Control characters as their pictures, direction marks and other invisible ones as a box. A newline and a tab become spaces. */
export function visible(text: string, maxChars = 500): string {
  const cut = text.length > maxChars ? `${text.slice(0, maxChars)}…` : text;
  return cut
    .replace(/[\n\t]+/g, ' ')
    .replace(/\p{Cc}/gu, picture)
    .replace(INVISIBLE, '\u25af');
}

/** As above for text of many lines: newlines and tabs stay. */
export function visibleLines(text: string): string {
  return text
    .replace(/\r\n/g, '\n')
    .replace(/[^\P{Cc}\n\t]/gu, picture)
    .replace(INVISIBLE, '\u25af');
}

const INVISIBLE = /[\p{Bidi_Control}\u200b-\u200d\u2060-\u2064\u00ad\ufeff\u{e0000}-\u{e007f}]/gu;

function picture(control: string): string {
  const code = control.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? '\u2421' : '\ufffd';
}

const SEQUENCE = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~])/g;

/** What a command printed, without colours and cursor movements; of a line that was written over only the last text. */
export function plainOutput(text: string): string {
  const lines = text.replace(SEQUENCE, '').split('\n');
  return visibleLines(lines.map(overwritten).join('\n'));
}

function overwritten(line: string): string {
  const text = line.replace(/\r+$/, '');
  return text.slice(text.lastIndexOf('\r') + 1);
}
