// Follows the few modes of a terminal that must be known at once, without an emulator: alternate screen and title.
// It reads the output and changes nothing in it.

/** Set (h) or reset (l) of private modes. */
const PRIVATE_MODE = /\x1b\[\?([\d;]*)([hl])/g;
/** OSC 0 and 2, up to their terminator. */
const TITLE = /\x1b\][02];([^\x07\x1b\x18\x1a]*)(?:\x07|\x1b\\)/g;
const ALTERNATE = new Set(['47', '1047', '1049']);
/** A sequence that is cut between two chunks is carried over up to this length; longer titles are not worth it. */
const MAX_CARRY_CHARS = 1024;
/** What a list shows of a title. */
const MAX_TITLE_CHARS = 200;

export class ModeTracker {
  alternateScreen = false;
  title = '';
  #carry = '';

  feed(chunk: string): void {
    if (this.#carry === '' && !chunk.includes('\x1b')) return;
    const text = this.#carry + chunk;
    for (const [, numbers = '', final] of text.matchAll(PRIVATE_MODE)) {
      if (numbers.split(';').some((number) => ALTERNATE.has(number))) this.alternateScreen = final === 'h';
    }
    for (const [, title = ''] of text.matchAll(TITLE)) this.title = cleaned(title);
    this.#carry = unfinished(text);
  }
}

/** The tail that may be the first part of one of these sequences. */
function unfinished(text: string): string {
  const start = text.lastIndexOf('\x1b');
  if (start === -1) return '';
  const tail = text.slice(start);
  return tail.length <= MAX_CARRY_CHARS && /^\x1b(\[(\?[\d;]*)?|\]([02](;[^\x07]*)?)?)?$/.test(tail) ? tail : '';
}

/** A title comes from the payload and is shown to people: no control characters, nothing that turns the text around. */
function cleaned(title: string): string {
  return title.replace(/[\p{Cc}\p{Bidi_Control}]/gu, '').slice(0, MAX_TITLE_CHARS);
}
