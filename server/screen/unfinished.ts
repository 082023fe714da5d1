// The bytes of an escape sequence that has begun and not ended. A snapshot taken in the middle of one is only right with them after it.

/** What is kept of a sequence: its head decides how the rest is read, and no sequence that changes the screen is longer. */
const MAX_CHARS = 4096;

/** ESC and the 8-bit controls begin a sequence wherever they stand, also inside of another one. */
const isIntroducer = (code: number): boolean =>
  code === 0x1b || code === 0x90 || code === 0x98 || code === 0x9b || (code >= 0x9d && code <= 0x9f);

export class Unfinished {
  /** Empty while the parser is at rest. */
  text = '';

  /** Told of everything that was parsed, and whether the parser is at rest after it. */
  after(chunk: string, atRest: boolean): void {
    if (atRest) {
      this.text = '';
      return;
    }
    const start = lastIntroducer(chunk);
    const text = start === -1 ? this.text + chunk.slice(0, MAX_CHARS) : chunk.slice(start, start + MAX_CHARS);
    this.text = withoutDone(text).slice(0, MAX_CHARS);
  }
}

function lastIntroducer(chunk: string): number {
  for (let index = chunk.length - 1; index >= 0; index--) if (isIntroducer(chunk.charCodeAt(index))) return index;
  return -1;
}

/** Control characters inside of a sequence have been carried out already, or mean nothing; only a DCS takes them as data. */
function withoutDone(text: string): string {
  if (text.startsWith('\x1bP') || text.startsWith('\x90')) return text;
  return text.replace(/[\0-\x17\x19\x1c-\x1f]/g, '');
}
