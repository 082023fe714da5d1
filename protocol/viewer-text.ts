// What a terminal prints, without what would reach beyond the screen of who watches it: OSC 52, which sets or asks for the clipboard.
// Everything else passes as it is. It goes through each character once, and keeps no more than a sequence's beginning.

const BEL = 0x07;
const CAN = 0x18;
const SUB = 0x1a;
const ESC = 0x1b;
const BACKSLASH = 0x5c;
const BRACKET = 0x5d;
const DEL = 0x7f;
const ST = 0x9c;
const OSC = 0x9d;

/** The number of the sequence that sets the clipboard. */
const CLIPBOARD = 52;
/** A longer beginning is padding, and is left out. */
const MAX_HELD = 256;

/** text · escape: ESC was seen · number: the number of an OSC is being read · drop: inside of one that is left out · dropEscape: it may end. */
type State = 'text' | 'escape' | 'number' | 'drop' | 'dropEscape';

/** One for each stream; `reset` when the stream begins anew with a screen. */
export class ViewerText {
  #state: State = 'text';
  /** The beginning of a sequence that can't be judged yet. */
  #held = '';
  #number = 0;

  /** Whether no sequence has begun: what holds nothing back then passes as it is. */
  get isAtRest(): boolean {
    return this.#state === 'text';
  }

  /** The text of the next frame, as a viewer may have it. */
  push(data: string): string {
    let passed = '';
    for (let at = 0; at < data.length; at++) {
      if (this.#state === 'text') {
        const start = indexOfSuspect(data, at);
        if (start < 0) return at === 0 ? data : passed + data.slice(at);
        passed += data.slice(at, start);
        at = start;
      }
      passed += this.#take(data.charAt(at));
    }
    return passed;
  }

  reset(): void {
    this.#state = 'text';
    this.#held = '';
  }

  /** What may pass now that this character has come. */
  #take(char: string): string {
    const code = char.charCodeAt(0);
    switch (this.#state) {
      case 'text':
        return this.#inText(char, code);
      case 'escape':
        return this.#inEscape(char, code);
      case 'number':
        return this.#inNumber(char, code);
      default:
        return this.#inDropped(char, code);
    }
  }

  #inText(char: string, code: number): string {
    if (code !== ESC && code !== OSC) return char;
    this.#state = code === ESC ? 'escape' : 'number';
    this.#number = 0;
    this.#held = char;
    return '';
  }

  #inEscape(char: string, code: number): string {
    if (code === BRACKET) {
      this.#state = 'number';
      this.#number = 0;
      return this.#hold(char);
    }
    return isSkipped(code) || code === BEL ? this.#hold(char) : this.#release(char, code);
  }

  #inNumber(char: string, code: number): string {
    const digit = code - 0x30;
    if (digit >= 0 && digit <= 9) {
      // Beyond this it can't become 52 any more; kept small, so that no long number becomes it by overflow.
      this.#number = Math.min(1000, this.#number * 10 + digit);
      return this.#hold(char);
    }
    if (isSkipped(code)) return this.#hold(char);
    if (this.#number !== CLIPBOARD) return this.#release(char, code);
    this.#held = '';
    this.#state = 'drop';
    return this.#inDropped(char, code);
  }

  #inDropped(char: string, code: number): string {
    if (this.#state === 'dropEscape') {
      this.#state = 'text';
      // ESC begins a sequence of its own, unless it was the end of this one.
      return code === BACKSLASH ? '' : this.#inText('\x1b', ESC) + this.#take(char);
    }
    if (code === ESC) this.#state = 'dropEscape';
    else if (code === BEL || code === ST || code === CAN || code === SUB) this.#state = 'text';
    return '';
  }

  #hold(char: string): string {
    if (this.#held.length < MAX_HELD) this.#held += char;
    return '';
  }

  /** It was none: what was held passes, and the character is looked at anew. */
  #release(char: string, code: number): string {
    const held = this.#held.length < MAX_HELD ? this.#held : '';
    this.#held = '';
    this.#state = 'text';
    return held + this.#inText(char, code);
  }
}

/** Whether a sequence may begin in it that is left out, or that can't be judged yet. */
export const mayHoldBack = (data: string): boolean => indexOfSuspect(data, 0) >= 0;

/** Where an OSC may begin: other sequences, which are most, are passed over without a look at each character. */
function indexOfSuspect(data: string, from: number): number {
  const suspect = /\x9d|\x1b(?=[\]\x00-\x1f\x7f]|$)/g;
  suspect.lastIndex = from;
  return suspect.exec(data)?.index ?? -1;
}

/** Controls that terminals skip inside of a sequence, so that they must not hide one. */
const isSkipped = (code: number): boolean =>
  (code < 0x20 && code !== BEL && code !== CAN && code !== SUB && code !== ESC) || code === DEL;
