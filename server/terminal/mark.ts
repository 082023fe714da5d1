// Finds the shell's own marks (OSC 133 with our nonce) in a terminal's output, however it is cut into chunks.
// It never believes a mark without the nonce: that one stays part of the text.

export type Mark =
  /** A: the prompt begins. `status` is that of the last command, `options` what is set in the shell (`$-`); it comes again whenever the prompt is redrawn. */
  | { readonly kind: 'promptStart'; readonly status: number | null; readonly options: string | null }
  /** B: the shell reads a command line; `continuation` when an unfinished one goes on. */
  | { readonly kind: 'promptEnd'; readonly continuation: boolean }
  /** C: what follows is a command's output; `run` names the terminal.run, null when somebody typed the command. */
  | { readonly kind: 'outputStart'; readonly run: string | null }
  /** D: the command is over. `cwd` is null when the shell could not tell. */
  | { readonly kind: 'finished'; readonly status: number | null; readonly cwd: string | null };

/** Text as it was printed, or a mark that stood there. */
export type Piece = string | Mark;

const PREFIX = '\x1b]133;';

/** With which a shell of that nonce tells that it reads a command line; rc.ts has it in the prompt. */
export const promptEnd = (nonce: string): string => `${PREFIX}B;k=${nonce}\x07`;

/** A mark holds at most a path of PATH_MAX (4096) bytes, each of them as %XX. What is longer is none of ours. */
const MAX_MARK_CHARS = 16 * 1024;
/** Ends an OSC: BEL, ST (ESC \), or what makes a terminal drop it: any other ESC, CAN, SUB. */
const TERMINATOR = /[\x07\x1b\x18\x1a]/g;

export class MarkScanner {
  readonly #key: string;
  /** The tail of what was scanned, when it may be the beginning of a mark. */
  #held = '';

  constructor(nonce: string) {
    this.#key = `k=${nonce}`;
  }

  /** The pieces of the next chunk, in order; neighbouring texts may come as several pieces. */
  scan(chunk: string): readonly Piece[] {
    if (this.#held === '' && !chunk.includes('\x1b]') && !chunk.endsWith('\x1b')) return [chunk];
    const pieces: Piece[] = [];
    const text = this.#held + chunk;
    this.#held = '';
    let from = 0;
    while (from < text.length) {
      const start = text.indexOf(PREFIX, from);
      if (start === -1) break;
      const end = findEnd(text, start + PREFIX.length);
      if (end === null) {
        if (text.length - start > MAX_MARK_CHARS) break;
        if (start > from) pieces.push(text.slice(from, start));
        this.#held = text.slice(start);
        return pieces;
      }
      const mark = end.whole ? this.#parse(text.slice(start + PREFIX.length, end.body)) : null;
      const cut = mark === null ? end.next : start;
      if (cut > from) pieces.push(text.slice(from, cut));
      if (mark !== null) pieces.push(mark);
      from = end.next;
    }
    const keep = from + heldBack(text.slice(from));
    if (keep > from) pieces.push(text.slice(from, keep));
    this.#held = text.slice(keep);
    return pieces;
  }

  /** What is still held back, when nothing follows any more. */
  flush(): string {
    const held = this.#held;
    this.#held = '';
    return held;
  }

  #parse(body: string): Mark | null {
    const [letter, ...fields] = body.split(';');
    if (fields.pop() !== this.#key) return null;
    if (letter === 'A') {
      return { kind: 'promptStart', status: exitStatus(property(fields, 's')), options: property(fields, 'o') };
    }
    if (letter === 'B') return { kind: 'promptEnd', continuation: property(fields, 'c') === '2' };
    if (letter === 'C') return { kind: 'outputStart', run: property(fields, 'r') };
    if (letter !== 'D') return null;
    return { kind: 'finished', status: exitStatus(fields[0]), cwd: unescapePath(property(fields, 'cwd')) };
  }
}

/** Where an OSC ends whose body begins at `from`; null when it goes on in the next chunk. */
function findEnd(text: string, from: number): { body: number; next: number; whole: boolean } | null {
  TERMINATOR.lastIndex = from;
  const found = TERMINATOR.exec(text);
  if (found === null) return null;
  const body = found.index;
  if (found[0] === '\x07') return { body, next: body + 1, whole: true };
  if (found[0] !== '\x1b') return { body, next: body + 1, whole: false };
  if (body + 1 === text.length) return null;
  return text[body + 1] === '\\' ? { body, next: body + 2, whole: true } : { body, next: body, whole: false };
}

/** Length of the text without a tail that may be the first half of PREFIX. */
function heldBack(text: string): number {
  const start = text.lastIndexOf('\x1b');
  return start !== -1 && text.length - start < PREFIX.length && PREFIX.startsWith(text.slice(start))
    ? start
    : text.length;
}

function property(fields: readonly string[], name: string): string | null {
  const field = fields.find((candidate) => candidate.startsWith(`${name}=`));
  return field === undefined ? null : field.slice(name.length + 1);
}

const exitStatus = (text: string | null | undefined): number | null =>
  /^\d{1,3}$/.test(text ?? '') ? Number(text) : null;

/** Reverses the shell's %XX of single characters; a path is whatever the shell said, so nothing here may throw. */
function unescapePath(text: string | null): string | null {
  return text?.replace(/%([0-9A-F]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))) ?? null;
}
