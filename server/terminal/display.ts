// What a terminal shows of a command that was run for somebody: its text as a person would have typed it. Pure.
// It never lets a control character of the command reach the terminal.

/** Lines of a script that are shown; the rest is counted. */
const MAX_LINES = 20;
/** Characters of a line that are shown. */
const MAX_LINE_CHARS = 500;

export function displayText(command: string): string {
  const lines = command.replace(/\n+$/, '').split('\n');
  const shown = lines.slice(0, MAX_LINES).map((line) => harmless(line));
  const left = lines.length - shown.length;
  if (left > 0) shown.push(`… ${left} more ${left === 1 ? 'line' : 'lines'}`);
  return shown.join('\n> ');
}

function harmless(line: string): string {
  const cut = line.length > MAX_LINE_CHARS ? `${line.slice(0, MAX_LINE_CHARS).replace(/[\ud800-\udbff]$/, '')}…` : line;
  return cut.replaceAll('\t', '    ').replace(/[\p{Cc}\p{Bidi_Control}]/gu, symbol);
}

/** Control characters have pictures of their own from U+2400 on. */
function symbol(character: string): string {
  const code = character.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? '\u2421' : '\ufffd';
}
