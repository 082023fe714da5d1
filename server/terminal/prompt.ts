// The prompt that stands on the screen, as it was printed between the shell's marks, and what takes its place when a run is typed there. It asks the shell nothing.
import { displayText } from './display.ts';
import type { Mark, Piece } from './mark.ts';

/** A prompt is short: what is longer was printed by somebody else, and is not shown again. */
const MAX_CHARS = 4096;
/** What moves nothing: CSI and OSC sequences, and those of two characters. */
const SEQUENCE = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])|[\x00-\x1f\x7f]/g;
/** Characters of double width. */
const WIDE = /[ᄀ-ᅟ⺀-꓏가-힣豈-﫿︰-﹏＀-｠￠-￦🌀-🫿]/gu;

export class Prompt {
  /** The last line of it; null when the terminal shows none. */
  text: string | null = null;
  /** What is set in the shell that shows it (`$-`); null when that is not known. */
  options: string | null = null;
  /** What was printed since it began; null when none has, or it is over. */
  #begun: string | null = null;

  see(piece: Piece): void {
    if (typeof piece === 'string') this.#add(piece);
    else this.#mark(piece);
  }

  /** What the terminal is to show of a command once `typed` characters stand behind the prompt, and the cursor is on the row below. */
  shown(command: string, { typed, cols }: { readonly typed: number; readonly cols: number }): string {
    const text = displayText(command);
    // Nothing that was typed is there to be seen either.
    if (this.text === null) return text;
    // A line that ends just at the edge has no row below it: the shell goes there itself, but once.
    const rows = Math.max(1, Math.ceil((width(this.text) + typed) / cols));
    return `\x1b[${rows}A\r\x1b[J${this.text}${text}`;
  }

  #mark(mark: Mark): void {
    if (mark.kind === 'promptStart') {
      this.#begun = '';
      this.options = mark.options;
    } else if (mark.kind === 'promptEnd') {
      // Where only its last line was drawn anew its beginning is not.
      if (this.#begun !== null && !mark.continuation) this.text = this.#begun.slice(this.#begun.lastIndexOf('\n') + 1);
      this.#begun = null;
    } else {
      this.text = null;
      this.options = null;
    }
  }

  #add(text: string): void {
    if (this.#begun === null) return;
    this.#begun += text;
    if (this.#begun.length > MAX_CHARS) this.#begun = null;
  }
}

function width(text: string): number {
  const plain = text.replace(SEQUENCE, '');
  return [...plain].length + (plain.match(WIDE)?.length ?? 0);
}
