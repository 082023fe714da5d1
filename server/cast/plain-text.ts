// Output as the text that a reader would have seen: lines as they leave the screen, then the screen as it stands at the end.
// It never holds more than the screen and what one piece pushes off it.
import type { CastEvent } from '../../protocol/asciicast.ts';
import { Emulator } from '../screen/emulator.ts';
import { endOfPiece } from '../screen/piece.ts';
import type { Slice } from './slice.ts';

/** Text parsed between two looks at what has scrolled off … */
const PIECE_CHARS = 2048;
/** … so that the lines in it, even empty ones, fit into the scrollback, also when a full-screen program delays the look. */
const SCROLLBACK_LINES = 2 * PIECE_CHARS;

export class PlainText {
  readonly #emulator: Emulator;

  constructor({ cols, rows }: { readonly cols: number; readonly rows: number }) {
    this.#emulator = new Emulator({ cols, rows, scrollback: SCROLLBACK_LINES });
  }

  /** Shows an event, in slices; gives the lines that it pushed off the screen. One call at a time. */
  async take({ code, data }: Pick<CastEvent, 'code' | 'data'>, slice: Slice): Promise<string> {
    if (code === 'r') this.#emulator.feed({ code, data });
    if (code !== 'o') return '';
    let text = '';
    const cells = this.#emulator.cols * this.#emulator.rows;
    for (let at = 0; at < data.length; ) {
      const end = Math.min(at + PIECE_CHARS, endOfPiece(data, at, cells));
      this.#emulator.write(data.slice(at, end));
      text += this.#emulator.takeLines(false);
      at = end;
      if (slice.over) await slice.rest();
    }
    return text;
  }

  /** What stands on the screen, without blanks at its end. */
  rest(): string {
    return this.#emulator.takeLines(true).trimEnd();
  }

  /** Whether the cursor is at the beginning of a line: what was printed ended with a newline. */
  get atLineStart(): boolean {
    return this.#emulator.cursor.col === 0;
  }

  close(): void {
    this.#emulator.close();
  }
}
