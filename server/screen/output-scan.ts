// What can be told from output without an emulator: title, alternate screen, and whether a program asks the terminal something.
// It looks only; a sequence may be cut anywhere between two pieces.
import { harmlessTitle } from './emulator.ts';

/** Longer titles are no titles, and a query is far shorter. */
const MAX_CARRY = 1024;

const SEQUENCE = new RegExp(
  [
    // Private modes.
    '\\x1b\\[\\?([0-9;]*)([hl])',
    // What the emulator answers: DA1, DA2; DSR and CPR; DECRQM; XTVERSION; the size in characters.
    '\\x1b\\[(?:>?[0-9;]*c|\\??[0-9;]*n|\\??[0-9;]*\\$p|>[0-9;]*q|18[0-9;]*t)',
    // DECRQSS.
    '\\x1bP\\$q[^\\x07\\x1b\\x18\\x1a]*(?=[\\x1b\\x9c])',
    // Colours of text, background and cursor.
    '\\x1b\\]1[0-2];\\?(?=[\\x07\\x1b\\x9c])',
    // Icon name and title, title.
    '\\x1b\\][02];([^\\x07\\x1b\\x18\\x1a\\x9c]*)(?=[\\x07\\x1b\\x9c])',
    // Full reset.
    '\\x1b(c)',
  ].join('|'),
  'g',
);

const UNFINISHED = /^\x1b(?:\[[0-?]*[ -/]*|[P\]][^\x07\x18\x1a\x9c]*)?$/;

const ALTERNATE_MODES: ReadonlySet<string> = new Set(['47', '1047', '1049']);

export class OutputScan {
  title = '';
  alternateScreen = false;
  #carry = '';

  /** Whether this piece completes a query. */
  take(data: string): boolean {
    if (this.#carry === '' && !data.includes('\x1b')) return false;
    const text = this.#carry + data;
    let asked = false;
    let end = 0;
    for (const match of text.matchAll(SEQUENCE)) {
      end = match.index + match[0].length;
      if (this.#note(match)) asked = true;
    }
    this.#carry = unfinishedTail(text, end);
    return asked;
  }

  /** Takes over what a sequence says; true when it asks something. */
  #note([, modes, set, title, reset]: RegExpMatchArray): boolean {
    if (modes !== undefined) {
      if (modes.split(';').some((mode) => ALTERNATE_MODES.has(mode))) this.alternateScreen = set === 'h';
      return false;
    }
    if (title !== undefined) this.title = harmlessTitle(title);
    else if (reset !== undefined) this.alternateScreen = false;
    else return true;
    return false;
  }
}

/** What may be the beginning of a sequence that goes on in the next piece. */
function unfinishedTail(text: string, from: number): string {
  const start = text.lastIndexOf('\x1b');
  if (start < from || text.length - start > MAX_CARRY) return '';
  const tail = text.slice(start);
  return UNFINISHED.test(tail) ? tail : '';
}
