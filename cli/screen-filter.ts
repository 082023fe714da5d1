// Makes what a slot's terminal printed harmless for the terminal of a person: queries, which that would answer into the slot's shell, and everything
// that reaches beyond the screen (clipboard, title, window, images) are left out. The gateway's terminal alone answers queries.

export interface ScreenFilterOptions {
  /** Lets programs ask for mouse, focus and paste reports: only where what the person types goes to the slot. */
  readonly input: boolean;
}

type State = 'text' | 'escape' | 'csi' | 'osc' | 'string';

/** Longer than any sequence that draws: what is longer is dropped up to its end. */
const MAX_SEQUENCE = 4096;
const ESC = '\x1b';
const BEL = '\x07';

/** What CSI sequences of each kind may end with: all that draw, none that report. */
const drawing = /^[@A-HJ-MPSTXZ`abdefghlmrsu]$/;
/** A hyperlink to the web, or the end of one. */
const link = /^\x1b\]8;[^;]*;(https?:\/\/[^\p{Cc}]*)?(\x07|\x1b\\)$/u;
const isControl = /\p{Cc}/u;
/** Modes that make a terminal send something by itself. */
const inputModes = new Set(['9', '1000', '1001', '1002', '1003', '1004', '1005', '1006', '1015', '1016', '2004']);

export class ScreenFilter {
  readonly #input: boolean;
  #state: State = 'text';
  #sequence = '';

  constructor({ input }: ScreenFilterOptions) {
    this.#input = input;
  }

  /** What of this piece may be printed; a sequence that is cut off is kept for the next one. */
  filter(piece: string): string {
    let printed = '';
    for (const char of piece) printed += this.#take(char);
    return printed;
  }

  #take(char: string): string {
    switch (this.#state) {
      case 'text':
        return this.#text(char);
      case 'escape':
        return this.#escape(char);
      case 'csi':
        return this.#csi(char);
      case 'osc':
        return this.#osc(char);
      case 'string':
        return this.#string(char);
    }
  }

  #text(char: string): string {
    if (char === ESC) return this.#begin('escape', char);
    const code = char.charCodeAt(0);
    // ENQ asks for an answer; C1 controls are other names of sequences.
    const isAsking = code === 0x05;
    const isC1 = code >= 0x80 && code <= 0x9f;
    return isAsking || isC1 ? '' : char;
  }

  #begin(state: State, sequence: string): string {
    this.#state = state;
    this.#sequence = sequence;
    return '';
  }

  #end(printed: string): string {
    this.#state = 'text';
    this.#sequence = '';
    return printed;
  }

  #escape(char: string): string {
    const sequence = this.#sequence + char;
    if (char === ESC) return this.#begin('escape', ESC);
    if (sequence.length === 2) {
      if (char === '[') return this.#begin('csi', sequence);
      if (char === ']') return this.#begin('osc', sequence);
      if (/[PX^_]/.test(char)) return this.#begin('string', sequence);
    }
    // Intermediates, as in ESC ( B.
    if (char >= ' ' && char <= '/') return this.#begin('escape', sequence);
    // ESC Z asks what kind of terminal this is.
    return this.#end(char >= '0' && char <= '~' && sequence !== `${ESC}Z` ? sequence : '');
  }

  #csi(char: string): string {
    if (char === ESC) return this.#begin('escape', ESC);
    if (char < ' ') return this.#text(char);
    const sequence = this.#sequence + char;
    if (char >= '@' && char <= '~') return this.#end(this.#allowedCsi(sequence));
    if (sequence.length > MAX_SEQUENCE || char > '~') return this.#end('');
    this.#sequence = sequence;
    return '';
  }

  #allowedCsi(sequence: string): string {
    const [, prefix = '', params = '', intermediates = '', final = ''] =
      /^\x1b\[([<-?]?)([0-9:;]*)([ -/]*)([@-~])$/.exec(sequence) ?? [];
    if (prefix === '' && intermediates === '') return drawing.test(final) ? sequence : '';
    // Cursor style; soft reset.
    if (prefix === '' && ((intermediates === ' ' && final === 'q') || (intermediates === '!' && final === 'p'))) {
      return sequence;
    }
    if (prefix !== '?' || intermediates !== '') return '';
    if (final === 'h' || final === 'l') return this.#allowedModes(params, final);
    return /^[JKrs]$/.test(final) ? sequence : '';
  }

  #allowedModes(params: string, final: string): string {
    const modes = params.split(';').filter((mode) => this.#input || !inputModes.has(mode));
    return modes.length === 0 ? '' : `${ESC}[?${modes.join(';')}${final}`;
  }

  #osc(char: string): string {
    const sequence = this.#sequence + char;
    if (char === BEL || sequence.endsWith(`${ESC}\\`)) return this.#end(link.test(sequence) ? sequence : '');
    // A terminal ends the sequence here and takes what follows for another one.
    if (this.#sequence.endsWith(ESC)) {
      this.#begin('escape', ESC);
      return this.#take(char);
    }
    if (char !== ESC && isControl.test(char)) return this.#end('');
    if (sequence.length > MAX_SEQUENCE) return this.#begin('string', sequence.slice(-1));
    this.#sequence = sequence;
    return '';
  }

  /** DCS, APC, PM, SOS, and what is too long: dropped up to the terminator. */
  #string(char: string): string {
    if (char === BEL || (char === '\\' && this.#sequence === ESC)) return this.#end('');
    this.#sequence = char;
    return '';
  }
}
