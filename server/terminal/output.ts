// What a terminal.run printed: line ends as the program wrote them, head and tail within a limit, every byte counted.
// It never holds more than the limit.
import { OutputKeeper } from '../keeper/output.ts';

export interface KeptText {
  readonly output: string;
  /** Of everything that was printed, also what was left out. */
  readonly outputBytes: number;
  readonly truncated: boolean;
}

/** Longer than a trace of `. file` in any sensible PS4. */
const MAX_TRACE_CHARS = 4096;

const RETURN = 0x0d;
const LINE_FEED = 0x0a;

/** No whole line yet, or one that ends our own line's first part. */
const MAY_BE_TRACE = /^(.*|.* :\n.*)$/;

export class RunOutput {
  readonly #keeper: OutputKeeper;
  readonly #limit: number;
  /** A carriage return whose line feed may be in the next chunk. */
  #carry = '';
  /** The beginning, until it is known whether it is the shell's trace of our own line; null afterwards. */
  #start: string | null = '';
  readonly #script: string;

  /** `script` is the file that the shell sources: under `set -x` it says so, which is none of the command's output. */
  constructor(maxBytes: number, script: string) {
    this.#keeper = new OutputKeeper(maxBytes);
    this.#limit = maxBytes;
    this.#script = script;
  }

  push(text: string): void {
    const joined = this.#carry + text;
    this.#carry = joined.endsWith('\r') ? '\r' : '';
    const whole = this.#carry === '' ? joined : joined.slice(0, -1);
    if (this.#start === null) this.#keeper.append(unixLines(Buffer.from(whole)));
    else this.#begin(whole.replaceAll('\r\n', '\n'));
  }

  /** Nothing follows. */
  end(): KeptText {
    this.#begin(this.#carry);
    this.#carry = '';
    this.#release();
    const { head, tail, total } = this.#keeper.kept();
    if (total <= this.#limit) return { output: `${Buffer.concat([head, tail])}`, outputBytes: total, truncated: false };
    const first = wholeStart(head);
    const last = wholeEnd(tail);
    const left = total - first.length - last.length;
    return { output: `${first}\n[… ${left} bytes left out …]\n${last}`, outputBytes: total, truncated: true };
  }

  #begin(text: string): void {
    if (this.#start === null) {
      this.#keeper.append(Buffer.from(text));
      return;
    }
    this.#start += text;
    if (this.#start.length > MAX_TRACE_CHARS || !MAY_BE_TRACE.test(this.#start)) this.#release();
  }

  #release(): void {
    if (this.#start === null) return;
    const trace = /^(?:.* :\n)?.*\n/.exec(this.#start)?.[0] ?? '';
    const isTrace = trace.endsWith(` . ${this.#script}\n`);
    const text = isTrace ? this.#start.slice(trace.length) : this.#start;
    this.#start = null;
    this.#keeper.append(Buffer.from(text));
  }
}

/** Without the carriage returns that a terminal puts before line feeds, in the same memory: many times faster than in a string, for a flood of short lines. */
function unixLines(bytes: Buffer): Buffer {
  let to = bytes.indexOf('\r\n');
  if (to === -1) return bytes;
  for (let from = to; from < bytes.length; from++) {
    const byte = bytes[from] ?? 0;
    if (byte === RETURN && bytes[from + 1] === LINE_FEED) continue;
    bytes[to++] = byte;
  }
  return bytes.subarray(0, to);
}

const continues = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80;

/** Without a character at the end that was cut in two. */
function wholeStart(bytes: Buffer): Buffer {
  let start = bytes.length - 1;
  while (start > 0 && continues(bytes[start])) start--;
  const first = bytes[start] ?? 0;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
  return start + length > bytes.length ? bytes.subarray(0, Math.max(0, start)) : bytes;
}

/** Without a character at the front that was cut in two. */
function wholeEnd(bytes: Buffer): Buffer {
  let from = 0;
  while (continues(bytes[from])) from++;
  return bytes.subarray(from);
}
