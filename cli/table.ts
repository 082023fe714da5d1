// Rows as a table of columns for people. What comes from slots is untrusted: no control character of it reaches the terminal.

export type Row = readonly string[];

/** Lines with the columns below their heads; the last one may be of any length. */
export function table(head: Row, rows: readonly Row[]): string {
  const cells = [head, ...rows.map((row) => row.map(harmless))];
  const widths = head.map((_, column) => Math.max(...cells.map((row) => [...(row[column] ?? '')].length)));
  const line = (row: Row): string =>
    row
      .map((cell, column) => padded(cell, widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return `${cells.map(line).join('\n')}\n`;
}

/** Control characters as spaces, and nothing that turns the text around. */
export const harmless = (text: string): string => text.replace(/[\p{Cc}\p{Bidi_Control}]+/gu, ' ');

const padded = (cell: string, width: number): string => cell + ' '.repeat(Math.max(0, width - [...cell].length));

/** 83 s as 1m23s. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  if (hours > 0) return `${hours}h${minutes}m`;
  return minutes > 0 ? `${minutes}m${rest}s` : `${rest}s`;
}

/** 12_345 as 12.3 kB. */
export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  const step = Math.min(units.length, Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1000 ** step).toFixed(1)} ${units[step - 1]}`;
}
