// What a terminal prints, without what would reach beyond the screen of who watches it: OSC 52, which sets or asks for the clipboard.
// Pure but for what a sequence that is cut between two frames needs; everything else passes as it is.

/** Controls that terminals skip inside of a sequence: they must not hide one. CAN, SUB and ESC end it, BEL ends an OSC. */
const SKIPPED = '[\\x00-\\x06\\x08-\\x17\\x19\\x1c-\\x1f\\x7f]*';
const INTRODUCER = `(?:\\x1b(?:\\x07|${SKIPPED})*\\]|\\x9d)`;
/** The number may be written with zeros before it; nobody who means well writes 16. */
const CLIPBOARD = new RegExp(
  `${INTRODUCER}${SKIPPED}(?:(?:0${SKIPPED}){16}|(?:0${SKIPPED})*5${SKIPPED}2${SKIPPED}(?![0-9]))`,
);
/** The beginning of what may become one, at the end of a frame. */
const UNDECIDED = new RegExp(
  `(?:\\x1b(?:\\x07|${SKIPPED})*|${INTRODUCER}${SKIPPED}(?:0${SKIPPED})*(?:5${SKIPPED}(?:2${SKIPPED})?)?)$`,
);
const END = /[\x07\x9c\x18\x1a]|\x1b\\?/;
/** A longer beginning is padding, and is left out. */
const MAX_UNDECIDED = 256;
const LAST_CHARS = 2 * MAX_UNDECIDED;

/** One for each stream; `reset` when the stream begins anew with a screen. */
export class ViewerText {
  #undecided = '';
  #dropping = false;

  /** The text of the next frame, as a viewer may have it. */
  push(data: string): string {
    if (!this.#dropping && this.#undecided === '' && !/[\x1b\x9d]/.test(data)) return data;
    let text = this.#undecided + data;
    this.#undecided = '';
    let passed = '';
    while (text !== '') {
      if (this.#dropping) {
        text = this.#afterEnd(text);
        continue;
      }
      const match = CLIPBOARD.exec(text);
      if (match === null || this.#reachesEnd(text, match)) return passed + this.#hold(text);
      passed += text.slice(0, match.index);
      text = text.slice(match.index + match[0].length);
      this.#dropping = true;
    }
    return passed;
  }

  reset(): void {
    this.#undecided = '';
    this.#dropping = false;
  }

  /** What stands behind the end of the sequence; nothing when the end is still to come. */
  #afterEnd(text: string): string {
    const end = END.exec(text);
    if (end === null) return '';
    const after = end.index + end[0].length;
    if (end[0] === '\x1b') {
      // ST in two halves, or the beginning of another sequence.
      if (after === text.length) {
        this.#undecided = '\x1b';
        return '';
      }
      this.#dropping = false;
      return text.slice(end.index);
    }
    this.#dropping = false;
    return text.slice(after);
  }

  /** A further digit may follow in the next frame and make it another number. */
  #reachesEnd(text: string, match: RegExpExecArray): boolean {
    return match.index + match[0].length === text.length && match[0].length <= MAX_UNDECIDED;
  }

  /** Passes all but the beginning of a sequence that can't be judged yet. */
  #hold(text: string): string {
    const start = Math.max(0, text.length - LAST_CHARS);
    const match = UNDECIDED.exec(text.slice(start));
    if (match === null) return text;
    this.#undecided = match[0].length > MAX_UNDECIDED ? '' : match[0];
    return text.slice(0, start + match.index);
  }
}
