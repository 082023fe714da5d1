// Finds what one terminal.run printed between the shell's own marks, however its output is cut. Pure; it never holds more than a mark.

/** The shell's mark before the output of a run; what stands before it is the echo of what was typed. */
const BEGIN = /\x1b\]133;C;r=\w{1,20};k=(\w{1,64})\x07/;
const MAX_BEGIN_CHARS = 100;
/** The shell's mark after it, with the same key; the prompt follows. */
const END = '\x1b]133;D;';
/** It holds a path of 4096 bytes, each as %XX at most. */
const MAX_END_CHARS = 16 * 1024;

/** Lets through what stands between the two marks, however it is cut. */
export class RunSpan {
  over = false;
  #key: string | null = null;
  /** A tail that may be part of a mark. */
  #held = '';

  take(data: string): string {
    const text = this.#held + data;
    this.#held = '';
    if (this.#key !== null) return this.#inside(text);
    const begin = BEGIN.exec(text);
    if (begin === null) {
      this.#held = text.slice(-MAX_BEGIN_CHARS);
      return '';
    }
    this.#key = begin[1] ?? '';
    return this.#inside(text.slice(begin.index + begin[0].length));
  }

  /** What comes next does not follow what came last. */
  skip(): void {
    this.#held = '';
  }

  #inside(text: string): string {
    for (let from = 0; ; from += END.length) {
      from = text.indexOf(END, from);
      if (from === -1) return this.#holdBack(text, partOfEnd(text));
      const end = text.indexOf('\x07', from);
      if (end === -1 && text.length - from <= MAX_END_CHARS) return this.#holdBack(text, from);
      if (end !== -1 && text.slice(from, end).endsWith(`;k=${this.#key}`)) {
        this.over = true;
        return text.slice(0, from);
      }
    }
  }

  #holdBack(text: string, from: number): string {
    this.#held = text.slice(from);
    return text.slice(0, from);
  }
}

/** Where a tail begins that may become END; the length when none does. */
function partOfEnd(text: string): number {
  const start = text.lastIndexOf('\x1b');
  return start !== -1 && END.startsWith(text.slice(start)) ? start : text.length;
}
